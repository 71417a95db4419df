//! A member whose clock jumps, and whose certificate is as large as certificates come.

use std::thread;
use std::time::Duration;

use warren::clock::unix_ms;
use warren::identity::Grants;
use warren::wire::Stamp;

use crate::member::{Door, Member, identity};
use crate::scene::Scene;

/// Every word from another time: the present, the far past, the far future, epochs forth and back.
#[test]
fn a_clock_that_jumps_confuses_nobody_else() {
    let mut scene = Scene::new();
    let member = Member::join(&scene.mesh, "transit", None);
    let hour = 3_600_000_i64;
    let jumps = [
        0,
        119_000,
        121_000,
        hour,
        100 * 365 * 24 * hour,
        -119_000,
        -hour,
        i64::MIN,
    ];
    scene.under("transit", "a clock that jumps", || {
        for (number, ahead) in jumps.into_iter().enumerate() {
            let stamp = member.stamp();
            let stamp = Stamp {
                issued_at_ms: stamp.issued_at_ms.saturating_add_signed(ahead),
                epoch: stamp.epoch.saturating_add_signed(ahead).min(1 << 60),
                lifetime_ms: [1, 300_000][number % 2],
                ..stamp
            };
            member.say([member.link_adv_at(stamp)]);
        }
        thread::sleep(Duration::from_millis(5));
        jumps.len() as u64
    });
    assert!(member.is_linked());
    let log = scene.mesh.process("transit").log();
    let lines = log.lines().filter(|line| line.contains("clock")).count();
    assert!(lines <= 10, "{lines} lines");
}

/// A neighbour that has another epoch with each hello, as if it restarted all the time, and a clock of
/// whatever time.
#[test]
fn hellos_of_any_epoch_and_time_cost_one_link() {
    let mut scene = Scene::new();
    let identity = identity(scene.mesh.dir(), None);
    let door = Door::of(&scene.mesh, "transit");
    let times = [0, 1, unix_ms() + 86_400_000, 1 << 61, u64::MAX];
    for (number, time) in times.into_iter().enumerate() {
        let epoch = times[times.len() - 1 - number];
        let refused = Member::knock_at(&door, &identity, epoch, Some(time));
        println!("epoch {epoch}, time {time}: {refused:?}");
    }
    scene.under("transit", "hellos of any epoch", || {
        let epoch = rand::random();
        let time = Some(rand::random());
        let _ = Member::knock_at(&door, &identity, epoch, time);
        1
    });
}

/// Certificates with hundreds of grants, beyond what travels with advertisements.
#[test]
fn a_certificate_as_long_as_a_book_costs_its_own_agent() {
    let mut scene = Scene::new();
    let route = |n: u32| {
        let address = std::net::Ipv4Addr::from(0x0b00_0000 + n * 256);
        format!("{address}/24").parse().expect("a prefix")
    };
    for count in [400, 1_500, 4_000] {
        let grants = Grants {
            prefixes: (0..count).map(route).collect(),
            ..Grants::default()
        };
        let identity = identity(scene.mesh.dir(), Some(&grants));
        let bytes = identity.certificate().len();
        let refused = Member::knock(&scene.mesh, "transit", &identity);
        println!("{bytes} bytes: {refused:?}");
    }
    let grants = Grants {
        prefixes: (0..4_000).map(route).collect(),
        ..Grants::default()
    };
    let identity = identity(scene.mesh.dir(), Some(&grants));
    let door = Door::of(&scene.mesh, "transit");
    scene.under("transit", "certificates as long as books", || {
        let _ = Member::knock_at(&door, &identity, unix_ms(), None);
        1
    });
}
