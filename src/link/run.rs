//! A connection whose neighbour was authenticated: whether it becomes the link with that neighbour,
//! and its life from then on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::driver::Driver;
use super::ending::code;
use super::event::DownReason;
use super::opened::{LinkContext, Opened};
use super::table::{Candidate, LinkInfo, Verdict};
use crate::canonical;
use crate::clock;
use crate::routing::LinkState;
use crate::task::{self, Served};

/// Why a link was not run, or how it ended.
#[derive(Debug)]
pub(super) enum Ended {
    Duplicate,
    Full,
    Down {
        reason: DownReason,
        /// How long it was kept.
        lived: Duration,
    },
}

/// Runs a link until it ends.
pub(super) async fn run(context: Arc<LinkContext>, opened: Opened) -> Ended {
    // It was read when the handshake was judged; the end of it is watched from now on.
    let credential = match opened.connection.certificate() {
        Ok(certificate) => certificate.credential(),
        Err(error) => {
            let reason = DownReason::Distrusted(error.to_string());
            opened
                .connection
                .close(code::VIOLATION, &reason.to_string());
            let lived = Duration::ZERO;
            return Ended::Down { reason, lived };
        }
    };
    let (outgoing, queue) = mpsc::channel(context.control_queue);
    let (end, ended) = watch::channel(None);
    let cost = opened.cost.max(opened.greeting.hello.cost).max(1);
    let candidate = Candidate {
        neighbor: opened.neighbor,
        dialled: opened.dialled,
        outgoing,
        end,
        credential,
        info: link_info(&opened, cost),
    };
    let number = match context.links.admit(candidate) {
        Verdict::Kept(number) => number,
        Verdict::Duplicate => {
            opened.connection.close(code::DUPLICATE, "duplicate link");
            return Ended::Duplicate;
        }
        Verdict::Full => {
            opened
                .connection
                .close(code::FULL, "no room for another link");
            return Ended::Full;
        }
        Verdict::Closed => {
            let reason = DownReason::Stopping;
            opened.connection.close(code::GOODBYE, &reason.to_string());
            let lived = Duration::ZERO;
            return Ended::Down { reason, lived };
        }
    };
    let kept = clock::now();
    let mut driver = Driver::start(context, opened, number, queue);
    driver.announce(cost).await;
    // What it is part of outside must not stay: others would send to it for ever.
    let reason = task::contain(Served::Link, driver.run(ended)).await;
    let reason = reason.unwrap_or_else(|| DownReason::Closed("a defect of this agent".to_owned()));
    let lived = clock::since(kept);
    driver.finish(&reason).await;
    Ended::Down { reason, lived }
}

fn link_info(opened: &Opened, cost: u32) -> LinkInfo {
    LinkInfo {
        display_name: opened.greeting.hello.display_name.clone(),
        remote: canonical::socket_address(opened.connection.remote().address),
        dialled: opened.dialled,
        state: LinkState::Up,
        cost,
        rtt: opened.connection.rtt(),
        mtu: opened.mtu,
        since: clock::now(),
        epoch: opened.greeting.hello.epoch,
    }
}
