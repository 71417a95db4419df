//! An impaired link in virtual time.

use proptest::prelude::*;

use super::*;
use crate::impairment::{Bursts, Outages};
use crate::units::{Probability, Rate};

const MS: Duration = Duration::from_millis(1);

struct Bench {
    pipe: Pipe,
    start: Instant,
    sent: u32,
}

impl Bench {
    fn new(impairment: Impairment) -> Self {
        let start = Instant::now();
        Self {
            pipe: Pipe::new(start, impairment, 7),
            start,
            sent: 0,
        }
    }

    /// Sends a packet of `length` bytes (at least 4) that holds its number.
    fn send(&mut self, at: Duration, length: usize) {
        let mut payload = self.sent.to_be_bytes().to_vec();
        payload.resize(length, 0);
        self.sent += 1;
        let packet = Packet { flow: 0, payload };
        self.pipe.handle_packet(self.start + at, packet);
    }

    /// Numbers of the packets that have arrived.
    fn arrived(&mut self, at: Duration) -> Vec<u32> {
        let now = self.start + at;
        std::iter::from_fn(|| self.pipe.poll_packet(now))
            .map(|packet| number(&packet))
            .collect()
    }

    /// Lets time pass until nothing is left; when each packet arrived, its number and length.
    fn drain(&mut self) -> Vec<(Duration, u32, usize)> {
        let mut out = Vec::new();
        while let Some(now) = self.pipe.poll_timeout() {
            while let Some(packet) = self.pipe.poll_packet(now) {
                out.push((now - self.start, number(&packet), packet.payload.len()));
            }
        }
        out
    }

    fn conserved(&self) {
        let counters = self.pipe.counters();
        let gone = counters.lost + counters.cut + counters.too_large + counters.queue_full;
        assert_eq!(
            counters.received,
            counters.delivered + gone + counters.held,
            "{counters:?}"
        );
    }
}

fn number(packet: &Packet) -> u32 {
    u32::from_be_bytes(packet.payload[..4].try_into().unwrap())
}

#[test]
fn a_clear_link_does_nothing() {
    let mut bench = Bench::new(Impairment::CLEAR);
    (0..100).for_each(|_| bench.send(MS, 60_000));
    assert_eq!(bench.arrived(MS), (0..100).collect::<Vec<_>>());
    assert_eq!(bench.pipe.poll_timeout(), None);
}

#[test]
fn delay_is_added_once_and_rate_per_packet() {
    let mut bench = Bench::new(Impairment {
        rate: Some(Rate::mbit(8)),
        delay: 20 * MS,
        ..Impairment::CLEAR
    });
    (0..3).for_each(|_| bench.send(Duration::ZERO, 1_000));
    // 1,000 bytes take 1 ms at 8 Mbit/s.
    let arrivals = bench.drain();
    assert_eq!(
        arrivals,
        [
            (21 * MS, 0, 1_000),
            (22 * MS, 1, 1_000),
            (23 * MS, 2, 1_000)
        ]
    );
}

#[test]
fn the_queue_drops_its_tail_and_always_takes_one() {
    let mut bench = Bench::new(Impairment {
        rate: Some(Rate::mbit(8)),
        queue: 2_500,
        ..Impairment::CLEAR
    });
    (0..4).for_each(|_| bench.send(Duration::ZERO, 1_000));
    // One leaves: there is room for one more.
    bench.send(MS, 1_000);
    bench.send(MS, 1_000);
    let numbers: Vec<u32> = bench.drain().iter().map(|arrival| arrival.1).collect();
    assert_eq!(numbers, [0, 1, 4]);
    assert_eq!(bench.pipe.counters().queue_full, 3);
    bench.send(10 * MS, 60_000);
    assert_eq!(bench.drain().len(), 1);
    bench.conserved();
}

#[test]
fn packets_above_the_mtu_vanish() {
    let mut bench = Bench::new(Impairment {
        mtu: Some(1_232),
        ..Impairment::CLEAR
    });
    bench.send(MS, 1_232);
    bench.send(MS, 1_233);
    assert_eq!(bench.arrived(MS), [0]);
    assert_eq!(bench.pipe.counters().too_large, 1);
}

#[test]
fn what_is_on_the_wire_survives_a_cut_and_a_change_of_delay_keeps_the_order() {
    let mut bench = Bench::new(Impairment {
        delay: 40 * MS,
        ..Impairment::CLEAR
    });
    bench.send(Duration::ZERO, 100);
    let change = |bench: &mut Bench, at: u32, impairment| {
        bench
            .pipe
            .handle_impairment(bench.start + at * MS, impairment);
    };
    change(&mut bench, 1, Impairment::CUT);
    bench.send(2 * MS, 100);
    change(&mut bench, 3, Impairment::CLEAR);
    bench.send(4 * MS, 100);
    // The one without delay waits for the one before it.
    assert_eq!(bench.drain(), [(40 * MS, 0, 100), (40 * MS, 2, 100)]);
    assert_eq!(bench.pipe.counters().cut, 1);
    bench.conserved();
}

#[test]
fn a_wider_rate_frees_what_waits() {
    let mut bench = Bench::new(Impairment {
        rate: Some(Rate::kbit(8)),
        ..Impairment::CLEAR
    });
    (0..3).for_each(|_| bench.send(Duration::ZERO, 1_000));
    let faster = Impairment {
        rate: Some(Rate::mbit(8)),
        ..Impairment::CLEAR
    };
    let (early, later) = (bench.start + 10 * MS, bench.start + 11 * MS);
    bench.pipe.handle_impairment(early, faster);
    assert_eq!(bench.arrived(11 * MS), [0]);
    bench.pipe.handle_impairment(later, Impairment::CLEAR);
    assert_eq!(bench.arrived(11 * MS), [1, 2]);
}

#[test]
fn outages_count_from_the_moment_they_are_imposed() {
    let mut bench = Bench::new(Impairment::CLEAR);
    let flapping = Impairment {
        outages: Some(Outages {
            up: 10 * MS,
            down: 5 * MS,
        }),
        ..Impairment::CLEAR
    };
    let begin = bench.start + 3 * MS;
    bench.pipe.handle_impairment(begin, flapping);
    (0..40).for_each(|at| bench.send(at * MS, 10));
    let lost: Vec<u32> = {
        let arrived = bench.arrived(40 * MS);
        (0..40).filter(|number| !arrived.contains(number)).collect()
    };
    assert_eq!(lost, [13, 14, 15, 16, 17, 28, 29, 30, 31, 32]);
}

/// Numbers of `count` packets that are lost.
fn losses(impairment: Impairment, count: u32) -> Vec<u32> {
    let mut bench = Bench::new(impairment);
    (0..count).for_each(|_| bench.send(MS, 10));
    let arrived: std::collections::BTreeSet<u32> = bench.arrived(MS).into_iter().collect();
    (0..count)
        .filter(|number| !arrived.contains(number))
        .collect()
}

#[test]
fn uniform_loss_has_its_share_and_no_bursts() {
    let lost = losses(
        Impairment {
            loss: Probability::permille(20),
            ..Impairment::CLEAR
        },
        50_000,
    );
    // 1,000 expected; the seed is fixed.
    assert!((900..1_100).contains(&lost.len()), "{}", lost.len());
    let neighbours = lost.windows(2).filter(|pair| pair[1] == pair[0] + 1);
    assert!(neighbours.count() < 50);
}

#[test]
fn burst_loss_has_its_share_and_its_length() {
    let bursts = Bursts {
        enter: Probability::permille(5),
        leave: Probability::permille(200),
        loss: Probability::ALWAYS,
    };
    let impairment = Impairment {
        bursts: Some(bursts),
        ..Impairment::CLEAR
    };
    let lost = losses(impairment, 50_000);
    let share = lost.len() as f64 / 50_000.0;
    assert!((share / bursts.share() - 1.0).abs() < 0.2, "{share}");
    let runs = 1 + lost
        .windows(2)
        .filter(|pair| pair[1] != pair[0] + 1)
        .count();
    let length = lost.len() as f64 / runs as f64;
    assert!((4.0..6.0).contains(&length), "mean burst {length}");
}

prop_compose! {
    fn any_impairment()(
        kbit in prop::option::of(1..20_000_u64),
        queue in 0..100_000_usize,
        delay in 0..100_u32,
        jitter in 0..50_u32,
        loss in 0..500_u16,
        bursts in prop::option::of((0..=1_000_u16, 0..=1_000_u16, 0..=1_000_u16)),
        mtu in prop::option::of(4..2_000_usize),
        cut in prop::bool::weighted(0.1),
        outages in prop::option::of((0..50_u32, 0..50_u32)),
    ) -> Impairment {
        let permille = Probability::permille;
        Impairment {
            rate: kbit.map(Rate::kbit),
            queue,
            delay: delay * MS,
            jitter: jitter * MS,
            loss: permille(loss),
            bursts: bursts.map(|(enter, leave, loss)| Bursts {
                enter: permille(enter),
                leave: permille(leave),
                loss: permille(loss),
            }),
            mtu,
            cut,
            outages: outages.map(|(up, down)| Outages { up: up * MS, down: down * MS }),
        }
    }
}

prop_compose! {
    /// A pause before each packet in ms, and its length.
    fn any_packets()(packets in prop::collection::vec((0..10_u32, 4..2_000_usize), 1..80))
        -> Vec<(Duration, usize)>
    {
        let mut at = Duration::ZERO;
        let timed = packets.into_iter().map(|(pause, length)| {
            at += pause * MS;
            (at, length)
        });
        timed.collect()
    }
}

proptest! {
    /// Whatever the link does and however it changes: every packet is delivered once, counted as
    /// gone once, or still held; and those that arrive do so in order.
    #[test]
    fn packets_are_conserved_and_in_order(
        impairments in prop::collection::vec(any_impairment(), 1..4),
        packets in any_packets(),
    ) {
        let mut bench = Bench::new(impairments[0]);
        let mut arrived = Vec::new();
        for (number, (at, length)) in packets.iter().enumerate() {
            if number % 10 == 9 {
                let next = impairments[number / 10 % impairments.len()];
                bench.pipe.handle_impairment(bench.start + *at, next);
            }
            bench.send(*at, *length);
            arrived.extend(bench.arrived(*at));
            bench.conserved();
        }
        arrived.extend(bench.drain().iter().map(|arrival| arrival.1));
        bench.conserved();
        prop_assert_eq!(bench.pipe.counters().held, 0);
        prop_assert!(arrived.is_sorted_by(|one, next| one < next));
    }

    /// In no interval does more come out than the rate allows, besides the packet that was being
    /// sent when the interval began.
    #[test]
    fn the_rate_is_never_exceeded(
        kbit in 10..20_000_u64,
        queue in 0..100_000_usize,
        packets in any_packets(),
    ) {
        let rate = Rate::kbit(kbit);
        let mut bench = Bench::new(Impairment {
            rate: Some(rate),
            queue,
            delay: 5 * MS,
            ..Impairment::CLEAR
        });
        let mut arrivals = Vec::new();
        for (at, length) in packets {
            while let Some(next) = bench.pipe.poll_timeout().filter(|next| *next < bench.start + at) {
                while let Some(packet) = bench.pipe.poll_packet(next) {
                    arrivals.push((next - bench.start, number(&packet), packet.payload.len()));
                }
            }
            bench.send(at, length);
        }
        arrivals.extend(bench.drain());
        for first in 0..arrivals.len() {
            let mut bytes = 0;
            for later in &arrivals[first + 1..] {
                bytes += later.2;
                prop_assert!(later.0 - arrivals[first].0 >= rate.time(bytes));
            }
        }
    }

    /// Equal seeds do equal things.
    #[test]
    fn a_run_is_a_function_of_its_seed(impairment in any_impairment(), packets in any_packets()) {
        let run = || {
            let mut bench = Bench::new(impairment);
            packets.iter().for_each(|(at, length)| bench.send(*at, *length));
            bench.drain()
        };
        prop_assert_eq!(run(), run());
    }
}
