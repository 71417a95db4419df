use std::time::Instant;

use super::*;
use crate::agent::mesh::SessionLimits;
use crate::agent::setup::empty_mesh;
use crate::config::Balance;

const MS: Duration = Duration::from_millis(1);

struct Bed {
    mesh: watch::Sender<Arc<Mesh>>,
    routes: MeshRoutes,
}

fn mesh(lost_at: Option<Instant>) -> Arc<Mesh> {
    let limits = SessionLimits {
        max_hops: 8,
        streams: 100,
        window: 1 << 20,
    };
    let own = AgentId([1; 16]);
    Arc::new(Mesh {
        lost_at,
        ..empty_mesh(own, limits)
    })
}

fn bed(lost_at: Option<Instant>) -> Bed {
    let (mesh, view) = watch::channel(mesh(lost_at));
    let routes = MeshRoutes {
        mesh: view,
        balancer: Mutex::new(Balancer::new(Balance::LowestMetric)),
        streams: StreamTable::new(),
    };
    Bed { mesh, routes }
}

/// How long a wait for what never comes lasts.
async fn in_vain(routes: &MeshRoutes) -> Duration {
    let begun = clock::now();
    assert_eq!(routes.wait_for(|| None::<()>).await, None);
    clock::since(begun)
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_not_waited_for_and_nothing_is_without_a_loss() {
    let bed = bed(None);
    assert_eq!(bed.routes.wait_for(|| Some(7)).await, Some(7));
    assert_eq!(in_vain(&bed.routes).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_way_is_waited_for_until_half_a_second_after_the_loss() {
    let begun = clock::now();
    let bed = bed(Some(begun));
    tokio::time::sleep(200 * MS).await;
    assert_eq!(in_vain(&bed.routes).await, 300 * MS);
    assert_eq!(in_vain(&bed.routes).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn each_change_is_looked_at() {
    let bed = bed(Some(clock::now()));
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
async fn losses_one_after_the_other_prolong_nothing() {
    let bed = bed(Some(clock::now()));
    let losing = async {
        for _ in 0..10 {
            tokio::time::sleep(200 * MS).await;
            bed.mesh.send_replace(mesh(Some(clock::now())));
        }
    };
    let (waited, ()) = tokio::join!(in_vain(&bed.routes), losing);
    assert_eq!(waited, WAY_BACK);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_stops_keeps_nobody_waiting() {
    let Bed { mesh, routes } = bed(Some(clock::now()));
    drop(mesh);
    assert_eq!(in_vain(&routes).await, Duration::ZERO);
}
