use std::time::Duration;

use super::bottleneck::{Bottleneck, Control, Line};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn explore() {
    let wan = Line {
        jitter: Duration::from_millis(2),
        ..Line::new(100.0, 40, 1.0)
    };
    let lines = [
        ("wan", wan),
        ("lossy", Line { loss: 0.01, ..wan }),
        (
            "bursty",
            Line {
                bursts: Some((0.002, 0.05, 0.5)),
                ..wan
            },
        ),
        (
            "congested",
            Line {
                rate: 10.0,
                queue: 625_000,
                ..wan
            },
        ),
        (
            "slow4g",
            Line {
                jitter: Duration::from_millis(20),
                ..Line::new(1.6, 150, 2.2)
            },
        ),
        ("satellite", Line::new(20.0, 600, 1.0)),
        (
            "shallow",
            Line {
                queue: 50_000,
                ..wan
            },
        ),
        (
            "policer",
            Line {
                policer: Some((20.0, 500_000)),
                ..wan
            },
        ),
        (
            "lumps",
            Line {
                lumps: Duration::from_millis(20),
                ..wan
            },
        ),
        (
            "lan",
            Line {
                queue: 500_000,
                ..Line::new(1000.0, 1, 1.0)
            },
        ),
    ];
    for (name, line) in lines {
        let mut net = Bottleneck::new(line, 1);
        let now = net.now;
        net.add(Control::bbr(now));
        let start = net.run(2 * SECOND);
        let (lost, sent) = (net.senders[0].lost, net.senders[0].sent);
        let got = net.run(8 * SECOND);
        let loss = (net.senders[0].lost - lost) as f64 / (net.senders[0].sent - sent) as f64;
        eprintln!(
            "{name:10} first {:6.1} then {:6.1} queue {:?} loss {loss:.3}",
            start[0],
            got[0],
            net.delay()
        );
    }
    for (name, line) in [
        ("wan", wan),
        ("congested", lines[3].1),
        ("shallow", lines[6].1),
        ("lossy", lines[1].1),
    ] {
        for kinds in ["bb", "bc", "cb", "cc"] {
            let mut net = Bottleneck::new(line, 1);
            for kind in kinds.chars() {
                let now = net.now;
                net.add(if kind == 'b' {
                    Control::bbr(now)
                } else {
                    Control::cubic(now)
                });
                net.run(3 * SECOND);
            }
            let a = net.run(10 * SECOND);
            let b = net.run(20 * SECOND);
            eprintln!("{name:10} {kinds} {a:.1?} {b:.1?} queue {:?}", net.delay());
        }
    }
}
