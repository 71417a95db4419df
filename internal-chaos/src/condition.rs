//! Named link conditions: a ladder from a good link to none, each with the reason of its figures.
//!
//! What is called delay is one way: a condition with 20 ms in both directions has a round trip of
//! 40 ms. Where a condition has a rate, its queue is one bandwidth-delay product unless said
//! otherwise (RFC 3439 section 3.2: the rule of thumb of router buffers).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::impairment::{Bursts, Impairment, Outages};
use crate::packet::Direction;
use crate::units::{Probability, Rate};

/// What a link does to its packets, in both directions. In a file it is its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Condition {
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    pub to_server: Impairment,
    pub to_client: Impairment,
}

/// A name that no condition has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown condition `{name}`; known are {}", known())]
pub struct UnknownCondition {
    name: String,
}

/// All conditions, best first; those in which something is broken come last.
pub const ALL: [Condition; 19] = [
    CLEAR,
    LAN,
    WAN,
    TRANSATLANTIC,
    SLOW_4G,
    ASYMMETRIC_DELAY,
    HIGH_JITTER,
    SATELLITE,
    FAR,
    LOSSY_WAN,
    BURSTY,
    CONGESTED,
    VERY_BAD,
    NARROW_MTU,
    FLAPPING,
    STUTTERING,
    DEAF_SERVER,
    DEAF_CLIENT,
    BLACK_HOLE,
];

/// What the sockets below do, and nothing else.
pub const CLEAR: Condition = both("clear", "nothing is impaired", Impairment::CLEAR);

/// Gigabit Ethernet through a few switches: round trips of half a millisecond, and a buffer of
/// 512 KiB, the order of a shallow access switch's. The relay itself adds a fraction of that.
pub const LAN: Condition = both(
    "lan",
    "round trip 0.5 ms, 1 Gbit/s",
    Impairment {
        rate: Some(Rate::mbit(1_000)),
        queue: 512 * 1024,
        delay: Duration::from_micros(250),
        ..Impairment::CLEAR
    },
);

/// Two sites of one continent: 40 ms is just below what a backbone operator promises between any
/// two of its hubs in North America (Verizon's service levels: 45 ms regional, 90 ms across the
/// Atlantic). 100 Mbit/s is a common access line; the jitter is a tenth of the one-way delay.
pub const WAN: Condition = both("wan", "round trip 40 ms, 100 Mbit/s", WAN_LINK);

const WAN_LINK: Impairment = Impairment {
    rate: Some(Rate::mbit(100)),
    queue: 500_000,
    delay: Duration::from_millis(20),
    jitter: Duration::from_millis(2),
    ..Impairment::CLEAR
};

/// New York to London as that same operator promises it: 90 ms.
pub const TRANSATLANTIC: Condition = both(
    "transatlantic",
    "round trip 90 ms, 100 Mbit/s",
    Impairment {
        queue: 1_125_000,
        delay: Duration::from_millis(45),
        ..WAN_LINK
    },
);

/// A phone on a poor mobile network: Lighthouse's default throttling, "slow 4G", which stands for
/// the worst quarter of 4G connections: 150 ms, 1.6 Mbit/s down, 750 kbit/s up. The queue of
/// 64 KiB (330 ms down) and the jitter are ours; Lighthouse has none.
pub const SLOW_4G: Condition = Condition {
    name: "slow-4g",
    summary: "round trip 150 ms, 1.6 Mbit/s down, 750 kbit/s up",
    to_server: Impairment {
        rate: Some(Rate::kbit(750)),
        ..SLOW_4G_LINK
    },
    to_client: Impairment {
        rate: Some(Rate::kbit(1_600)),
        ..SLOW_4G_LINK
    },
};

const SLOW_4G_LINK: Impairment = Impairment {
    queue: 64 * 1024,
    delay: Duration::from_millis(75),
    jitter: Duration::from_millis(20),
    ..Impairment::CLEAR
};

/// A geostationary satellite: 600 ms, 20 Mbit/s down and 2 Mbit/s up, the emulated link of Endres
/// et al., "Performance of QUIC Implementations Over Geostationary Satellite Links" (2022,
/// arXiv:2202.08228). The distance alone costs up to 558 ms (RFC 2488 section 2).
pub const SATELLITE: Condition = Condition {
    name: "satellite",
    summary: "round trip 600 ms, 20 Mbit/s down, 2 Mbit/s up",
    to_server: Impairment {
        rate: Some(Rate::mbit(2)),
        queue: 150_000,
        ..SATELLITE_LINK
    },
    to_client: Impairment {
        rate: Some(Rate::mbit(20)),
        queue: 1_500_000,
        ..SATELLITE_LINK
    },
};

const SATELLITE_LINK: Impairment = Impairment {
    delay: Duration::from_millis(300),
    ..Impairment::CLEAR
};

/// Long one way, short the other: traffic that goes out over a satellite and comes back over land, or
/// routes that differ (RFC 3449 section 2 has both). 400 ms and 20 ms: who takes half a round trip for
/// either way is wrong by 190 ms.
pub const ASYMMETRIC_DELAY: Condition = Condition {
    name: "asymmetric-delay",
    summary: "400 ms to the server, 20 ms back, 50 Mbit/s",
    to_server: Impairment {
        delay: Duration::from_millis(400),
        ..ASYMMETRIC_LINK
    },
    to_client: Impairment {
        delay: Duration::from_millis(20),
        ..ASYMMETRIC_LINK
    },
};

const ASYMMETRIC_LINK: Impairment = Impairment {
    rate: Some(Rate::mbit(50)),
    queue: 2_625_000,
    ..Impairment::CLEAR
};

/// Delay that changes by as much as it is, as over a busy mobile network or a crowded radio channel:
/// 50 ms each way and up to 50 ms more, so that a round trip takes 100 to 200 ms. Packets keep their
/// order, as in the queue that such delays come from (RFC 3393 section 1).
pub const HIGH_JITTER: Condition = both(
    "high-jitter",
    "round trip 100 ms, and up to 100 ms more, 50 Mbit/s",
    Impairment {
        rate: Some(Rate::mbit(50)),
        queue: 1_250_000,
        delay: Duration::from_millis(50),
        jitter: Duration::from_millis(50),
        ..Impairment::CLEAR
    },
);

/// The longest round trip that links are made for, 3 s, and jitter of a third of that: two satellites
/// in a row behind queues, or a delay-tolerant carrier. Twice the initial time-out of TCP (RFC 6298
/// section 2), so that every handshake is repeated before it is answered.
pub const FAR: Condition = both(
    "far",
    "round trip 2 to 3 s, 10 Mbit/s",
    Impairment {
        rate: Some(Rate::mbit(10)),
        queue: 3_750_000,
        delay: Duration::from_secs(1),
        jitter: Duration::from_millis(500),
        ..Impairment::CLEAR
    },
);

/// [`WAN`] that also loses one packet in a hundred, each for itself: twice what operators promise
/// at worst (99.5 % delivery), and where loss-based congestion control begins to hurt: by RFC 3649
/// section 1 a Reno flow holds about 12 segments in flight at 1 % (1.2 / √p).
pub const LOSSY_WAN: Condition = both(
    "lossy-wan",
    "wan, and 1 % loss",
    Impairment {
        loss: Probability::permille(10),
        ..WAN_LINK
    },
);

/// [`WAN`] over a radio hop: losses come together, as traffic traces show (Haßlinger and Hohlfeld
/// 2008 fit them with this model). Every 500 packets begin a bad time of 20 on the average, in
/// which half are lost: 1.9 % in all, in bursts that a single retransmission does not repair.
pub const BURSTY: Condition = both(
    "bursty",
    "wan, and 1.9 % loss in bursts of about 20 packets",
    Impairment {
        bursts: Some(Bursts {
            enter: Probability::permille(2),
            leave: Probability::permille(50),
            loss: Probability::permille(500),
        }),
        ..WAN_LINK
    },
);

/// A line with too large a buffer before it, filled by anyone's upload: 10 Mbit/s and half a
/// second of queue. Standing queues of that size are what Gettys and Nichols measured on home
/// lines ("Bufferbloat", 2011), and why RFC 8290 exists. Any load delays heartbeats by 500 ms.
pub const CONGESTED: Condition = both(
    "congested",
    "round trip 40 ms, 10 Mbit/s behind 500 ms of queue",
    Impairment {
        rate: Some(Rate::mbit(10)),
        queue: 625_000,
        ..WAN_LINK
    },
);

/// The profile "Very Bad Network" of Apple's Network Link Conditioner, which developers of mobile
/// applications test with: 1 Mbit/s, 500 ms each way, a tenth of all packets lost.
pub const VERY_BAD: Condition = both(
    "very-bad",
    "round trip 1 s, 1 Mbit/s, 10 % loss",
    Impairment {
        rate: Some(Rate::mbit(1)),
        queue: 125_000,
        delay: Duration::from_millis(500),
        loss: Probability::permille(100),
        ..Impairment::CLEAR
    },
);

/// A tunnel on the way that drops what does not fit, without the ICMP message that path MTU
/// discovery needs. 1,232 bytes is IPv6's minimum MTU of 1,280 less the IP and UDP headers: above
/// the 1,200 that QUIC demands (RFC 9000 section 14), below the 1,472 of Ethernet.
pub const NARROW_MTU: Condition = both(
    "narrow-mtu",
    "UDP payloads above 1232 bytes are dropped",
    Impairment {
        mtu: Some(1_232),
        ..Impairment::CLEAR
    },
);

/// A link that is up for 5 s and down for 1 s. Down for longer than it takes to be noticed (300 ms
/// with default heartbeats), up for longer than a returning link is first held back (1 s), so that
/// every return can be believed, and damping must see the pattern.
pub const FLAPPING: Condition = both(
    "flapping",
    "5 s up, 1 s down, again and again",
    Impairment {
        outages: Some(Outages {
            up: Duration::from_secs(5),
            down: Duration::from_secs(1),
        }),
        ..Impairment::CLEAR
    },
);

/// A link that loses everything for 120 ms of every second: longer than the silence that raises
/// doubt with default heartbeats (100 ms), shorter than the one that takes a link down (300 ms).
pub const STUTTERING: Condition = both(
    "stuttering",
    "880 ms up, 120 ms down, again and again",
    Impairment {
        outages: Some(Outages {
            up: Duration::from_millis(880),
            down: Duration::from_millis(120),
        }),
        ..Impairment::CLEAR
    },
);

/// One-way dead: nothing reaches the server, whose own packets still arrive. A firewall rule or a
/// broken transmitter.
pub const DEAF_SERVER: Condition = Condition {
    name: "deaf-server",
    summary: "nothing reaches the server; the client hears it",
    to_server: Impairment::CUT,
    to_client: Impairment::CLEAR,
};

/// One-way dead: nothing reaches the client, which still reaches the server.
pub const DEAF_CLIENT: Condition = Condition {
    name: "deaf-client",
    summary: "nothing reaches the client; the server hears it",
    to_server: Impairment::CLEAR,
    to_client: Impairment::CUT,
};

/// A cut cable that nobody reports: no packet, no error.
pub const BLACK_HOLE: Condition = both("black-hole", "nothing arrives anywhere", Impairment::CUT);

const fn both(name: &'static str, summary: &'static str, link: Impairment) -> Condition {
    Condition {
        name,
        summary,
        to_server: link,
        to_client: link,
    }
}

impl Condition {
    /// These figures both ways.
    pub fn of(link: Impairment) -> Self {
        both("figures", "", link)
    }

    /// The longest round trip of an empty link.
    pub fn round_trip(&self) -> Duration {
        let ways = [self.to_server, self.to_client];
        ways.iter().map(|way| way.delay + way.jitter).sum()
    }

    /// What one direction does.
    pub fn towards(&self, direction: Direction) -> Impairment {
        match direction {
            Direction::ToServer => self.to_server,
            Direction::ToClient => self.to_client,
        }
    }
}

fn known() -> String {
    ALL.map(|condition| condition.name).join(", ")
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl FromStr for Condition {
    type Err = UnknownCondition;

    fn from_str(name: &str) -> Result<Self, UnknownCondition> {
        let found = ALL.into_iter().find(|condition| condition.name == name);
        found.ok_or_else(|| UnknownCondition {
            name: name.to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// The table of `internal-chaos conditions`.
pub fn table() -> String {
    let head = ["name", "what it is", "to the server", "to the client"].map(str::to_owned);
    let rows = ALL.map(|condition| {
        vec![
            condition.name.to_owned(),
            condition.summary.to_owned(),
            condition.to_server.to_string(),
            condition.to_client.to_string(),
        ]
    });
    let mut table = vec![head.to_vec()];
    table.extend(rows);
    crate::table::text_left(&table)
}

#[cfg(test)]
mod tests;
