use std::future::pending;
use std::sync::Mutex;

use futures_util::stream;
use tokio::time::{Instant, sleep};

use super::*;

const LONG: Duration = Duration::from_secs(5);

fn part(addresses: &[&str], more: bool) -> Part {
    Part {
        addresses: addresses.iter().map(|ip| ip.parse().unwrap()).collect(),
        more,
    }
}

/// These parts, so many milliseconds after the start.
fn arriving(parts: Vec<(u64, Option<Part>)>) -> impl Stream<Item = Part> {
    let start = Instant::now();
    stream::iter(parts)
        .then(move |(at, part)| async move {
            sleep_until(start + Duration::from_millis(at)).await;
            part
        })
        .filter_map(std::future::ready)
}

/// Who was tried when; an address that ends in 1 answers, in 2 refuses, in 3 is silent.
async fn tried(
    parts: Vec<(u64, Option<Part>)>,
) -> (Vec<(u64, String)>, Result<String, (Vec<String>, bool)>) {
    let (start, log) = (Instant::now(), Mutex::new(Vec::new()));
    let result = race(arriving(parts), 80, LONG, |address| {
        let ip = address.ip().to_string();
        let at = start.elapsed().as_millis() as u64;
        log.lock().unwrap().push((at, ip.clone()));
        async move {
            sleep(Duration::from_millis(10)).await;
            match ip.chars().last() {
                Some('1') => Ok(ip),
                Some('2') => Err(ip),
                _ => pending().await,
            }
        }
    });
    let result = result.await;
    let result = result.map_err(|failure| (failure.errors, failure.timed_out));
    let log = log.into_inner().unwrap();
    (log, result)
}

fn log(entries: &[(u64, &str)]) -> Vec<(u64, String)> {
    entries
        .iter()
        .map(|(at, ip)| (*at, (*ip).to_owned()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn families_alternate_and_are_staggered() {
    let all = part(&["10.0.0.3", "10.0.1.3", "::3", "::1:3", "::1"], false);
    let (tries, won) = tried(vec![(0, Some(all))]).await;
    let expected = [
        (0, "::3"),
        (250, "10.0.0.3"),
        (500, "::0.1.0.3"),
        (750, "10.0.1.3"),
        (1_000, "::1"),
    ];
    let ips: Vec<_> = tries.iter().map(|(at, _)| *at).collect();
    assert_eq!(ips, expected.map(|(at, _)| at));
    assert_eq!(tries[1].1, "10.0.0.3");
    assert_eq!(won.unwrap(), "::1");
}

#[tokio::test(start_paused = true)]
async fn a_late_family_is_tried_as_soon_as_the_early_one_has_failed_or_is_silent() {
    // It has failed: at once.
    let parts = vec![
        (0, Some(part(&["::2"], true))),
        (400, Some(part(&["10.0.0.1"], false))),
    ];
    let (tries, won) = tried(parts).await;
    assert_eq!(tries, log(&[(0, "::2"), (400, "10.0.0.1")]));
    assert_eq!(won.unwrap(), "10.0.0.1");
    // It is silent: after the stagger, or at once if that is over.
    for (arrives, starts) in [(100, 250), (400, 400)] {
        let parts = vec![
            (0, Some(part(&["::3"], true))),
            (arrives, Some(part(&["10.0.0.1"], false))),
        ];
        let (tries, _) = tried(parts).await;
        assert_eq!(tries, log(&[(0, "::3"), (starts, "10.0.0.1")]));
    }
}

#[tokio::test(start_paused = true)]
async fn ipv4_alone_waits_a_moment_for_ipv6() {
    for (second, expected) in [
        (Some((20, part(&["::1"], false))), &[(20, "::1")][..]),
        (
            Some((400, part(&["::1"], false))),
            &[(50, "10.0.0.3"), (400, "::1")],
        ),
    ] {
        let mut parts = vec![(0, Some(part(&["10.0.0.3"], true)))];
        parts.extend(second.map(|(at, part)| (at, Some(part))));
        assert_eq!(tried(parts).await.0, log(expected));
    }
    // Nobody waits for what is not awaited, or does not come.
    let alone = vec![(0, Some(part(&["10.0.0.1"], false)))];
    assert_eq!(tried(alone).await.0, log(&[(0, "10.0.0.1")]));
    let none = vec![(0, Some(part(&["10.0.0.1"], true))), (30, None)];
    assert_eq!(tried(none).await.0, log(&[(30, "10.0.0.1")]));
}

#[tokio::test(start_paused = true)]
async fn failures_are_gathered_and_silence_is_told() {
    let (_, lost) = tried(vec![(0, Some(part(&["::2", "10.0.0.2"], false)))]).await;
    assert_eq!(
        lost.unwrap_err(),
        (vec!["::2".into(), "10.0.0.2".into()], false)
    );
    let start = Instant::now();
    let (_, lost) = tried(vec![(0, Some(part(&["::3"], false)))]).await;
    assert_eq!(lost.unwrap_err(), (vec![], true));
    assert_eq!(start.elapsed(), LONG);
    let (_, lost) = tried(vec![(100, None)]).await;
    assert_eq!(lost.unwrap_err(), (vec![], false));
    // What comes after the others were given up has its own time.
    let parts = vec![
        (0, Some(part(&["::3"], true))),
        (6_000, Some(part(&["10.0.0.1"], false))),
    ];
    assert_eq!(tried(parts).await.1.unwrap(), "10.0.0.1");
}

#[tokio::test(start_paused = true)]
async fn a_name_with_many_addresses_costs_a_bounded_number_of_sockets() {
    let addresses: Vec<IpAddr> = (0..1_000u16)
        .map(|n| [10, 0, (n >> 8) as u8, 3].into())
        .collect();
    let part = Part {
        addresses,
        more: false,
    };
    let (tries, _) = tried(vec![(0, Some(part))]).await;
    assert_eq!(tries.len(), MAX_ADDRESSES);
}

#[test]
fn an_address_that_is_known_waits_for_no_timer() {
    use futures_util::FutureExt;

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let parts = stream::iter([part(&["192.0.2.1"], false)]);
    let attempt = |address: SocketAddr| std::future::ready(Ok::<_, ()>(address.port()));
    // At the first poll: nothing else wakes it.
    let port = race(parts, 80, LONG, attempt).now_or_never();
    assert_eq!(port.map(|won| won.unwrap()), Some(80));
}
