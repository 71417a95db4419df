use std::time::Duration;

use super::*;
use crate::config::Balance;
use crate::routing::fixture::stamp;
use crate::routing::{Avoid, BuildInput, LATELY, RouteTable};
use crate::wire::{RouteAdv, RoutePrefix};

const MS: Duration = Duration::from_millis(1);
const OWN: AgentId = AgentId([1; 16]);

struct Bed {
    mesh: watch::Sender<Arc<Mesh>>,
    routes: MeshRoutes,
}

fn mesh() -> Mesh {
    Mesh::empty(OWN, 8)
}

fn bed() -> Bed {
    let (mesh, view) = watch::channel(Arc::new(mesh()));
    let routes = MeshRoutes {
        mesh: view,
        balancer: Arc::new(Mutex::new(Balancer::new(Balance::LowestMetric))),
        streams: StreamTable::new(),
        lately: Arc::new(Mutex::new(Lately::new(100))),
        resolvers: watch::channel(Vec::new()).1,
    };
    Bed { mesh, routes }
}

/// Our own routes.
fn table() -> RouteTable {
    let adv = RouteAdv {
        stamp: stamp(OWN),
        fragment: 0,
        fragments: 1,
        prefixes: vec![RoutePrefix {
            prefix: "10.0.0.0/8".parse().unwrap(),
            metric: 0,
        }],
        domains: vec!["*.corp.example".to_owned()],
        resolves: true,
        load: 0,
        pool: String::new(),
    };
    RouteTable::build(BuildInput {
        own: OWN,
        max_hops: 8,
        links: std::iter::empty(),
        routes: [&adv].into_iter(),
        avoid: Avoid::default(),
    })
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_was_had_for_ten_seconds() {
    let bed = bed();
    let wanted = [
        Wanted::Address("10.1.2.3".parse().unwrap()),
        Wanted::Domain("a.corp.example"),
        Wanted::Resolver("b.example"),
    ];
    let had = || wanted.map(|wanted| bed.routes.had(wanted));
    assert_eq!(had(), [false; 3]);
    let lose = |lately: &mut Lately| lately.handle_change(clock::now(), &table(), &mesh().table);
    lose(&mut bed.routes.lately.lock().unwrap());
    assert_eq!(had(), [true; 3]);
    tokio::time::sleep(LATELY - MS).await;
    assert_eq!(had(), [true; 3]);
    tokio::time::sleep(MS).await;
    assert_eq!(had(), [false; 3]);
}

#[tokio::test(start_paused = true)]
async fn each_change_is_looked_at() {
    let bed = bed();
    let mut looks = 0;
    let found = || {
        looks += 1;
        (looks == 4).then_some(())
    };
    let changing = async {
        for _ in 0..3 {
            tokio::time::sleep(100 * MS).await;
            bed.mesh.send_modify(|_| ());
        }
    };
    let (found, ()) = tokio::join!(bed.routes.wait_for(found), changing);
    assert_eq!((found, looks), (Some(()), 4));
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_not_waited_for_and_an_agent_that_stops_keeps_nobody_waiting() {
    let Bed { mesh, routes } = bed();
    assert_eq!(routes.wait_for(|| Some(7)).await, Some(7));
    drop(mesh);
    assert_eq!(routes.wait_for(|| None::<()>).await, None);
}
