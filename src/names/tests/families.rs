//! Families come when they come.

use hickory_proto::op::ResponseCode::ServFail;

use super::*;

async fn parts(mut lookup: Lookup) -> Vec<(String, bool)> {
    let mut parts = Vec::new();
    while let Some(part) = timeout(PATIENCE, lookup.next()).await.unwrap() {
        let part = part.unwrap();
        parts.push((part.addresses[0].to_string(), part.more));
    }
    parts
}

/// A server that answers AAAA and A so.
async fn server(v6: Act, v4: Act) -> Scripted {
    Scripted::start(move |seen| if seen.is_v6 { v6.clone() } else { v4.clone() }).await
}

fn v4() -> Act {
    ips(&["192.0.2.1"])
}

fn v6() -> Act {
    ips(&["2001:db8::1"])
}

#[tokio::test]
async fn a_late_family_joins_whichever_it_is() {
    let (early_v6, early_v4) = (
        ("2001:db8::1".to_owned(), true),
        ("192.0.2.1".to_owned(), true),
    );
    let (late_v4, late_v6) = (
        ("192.0.2.1".to_owned(), false),
        ("2001:db8::1".to_owned(), false),
    );
    for (aaaa, a, expected) in [
        (v6(), after(300, v4()), [early_v6, late_v4]),
        (after(300, v6()), v4(), [early_v4, late_v6]),
    ] {
        let server = server(aaaa, a).await;
        let lookup = resolver(&[&server]).lookup("a.example", Families::BOTH);
        assert_eq!(parts(lookup).await, expected);
    }
}

#[tokio::test]
async fn one_family_that_fails_or_hangs_does_not_take_the_other_with_it() {
    for bad in [Act::Code(ServFail), Act::Silence, Act::NoName] {
        for is_v6_bad in [false, true] {
            let (aaaa, a, good) = if is_v6_bad {
                (bad.clone(), v4(), "192.0.2.1")
            } else {
                (v6(), bad.clone(), "2001:db8::1")
            };
            let server = server(aaaa, a).await;
            let resolver = Resolver::of_servers(&[server.address], Duration::from_millis(300));
            assert_eq!(
                ask(&resolver, "a.example").await.unwrap(),
                [good],
                "{bad:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_family_of_no_use_is_not_waited_for() {
    let of_no_use = Families::useful(true, false);
    for (aaaa, a, expected) in [
        (Act::Silence, v4(), &["192.0.2.1"][..]),
        (Act::Silence, Act::NoName, &[]),
        (v6(), v4(), &["192.0.2.1", "2001:db8::1"]),
        // Somebody may find use for it after all.
        (v6(), Act::Addresses(Vec::new()), &["2001:db8::1"]),
    ] {
        let server = server(aaaa, a).await;
        let started = clock::now();
        let lookup = resolver(&[&server]).lookup("a.example", of_no_use);
        assert_eq!(all(lookup).await.unwrap(), expected);
        assert!(clock::since(started) < Duration::from_millis(400));
    }
}
