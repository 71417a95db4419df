//! A line between two network namespaces that everything between them shares: whatever the kernel sends
//! into it, also TCP of its own, waits in one queue for each direction.
//!
//! ```text
//!  near: device ─► pipe to server ─► device :far
//!              ◄─ pipe to client ◄─
//! ```
//!
//! Both ends are TUN devices called [`DEVICE`], whose packets are whole IP packets: rate, queue and MTU
//! of the condition count their headers, too.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::Context;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tun_rs::{DeviceBuilder, SyncDevice};

use super::core::Core;
use super::shell::hurry;
use crate::condition::Condition;
use crate::host::Host;
use crate::packet::{Direction, Packet};

/// What both ends are called. They have neither address nor route, and are not up.
pub const DEVICE: &str = "wire";

/// Packets taken from one end before the other has its turn.
const BATCH: usize = 64;

/// The largest IP packet.
const LARGEST: usize = 65_536;

/// A running line. Dropping it removes both devices; what is under way is lost.
#[derive(Debug)]
pub struct Bottleneck {
    end: Arc<OwnedFd>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Line {
    core: Core,
    near: SyncDevice,
    far: SyncDevice,
    end: Arc<OwnedFd>,
}

impl Bottleneck {
    /// Makes both devices, where these threads live. The client of the condition is at the near end.
    pub async fn lay(
        (near, far): (&Host, &Host),
        condition: &Condition,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let end = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC);
        let end = Arc::new(end.context("no event can be made")?);
        let mut line = Line {
            core: Core::new(Instant::now(), condition, seed),
            near: open(near).await?,
            far: open(far).await?,
            end: Arc::clone(&end),
        };
        let thread = thread::Builder::new().name("bottleneck".to_owned());
        let thread = thread.spawn(move || line.run());
        Ok(Self {
            end,
            thread: Some(thread.context("cannot start a thread")?),
        })
    }
}

impl Drop for Bottleneck {
    fn drop(&mut self) {
        // It is written to once, which always fits.
        let _ = rustix::io::write(&self.end, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            // It has nothing to panic about; if it did, it said so.
            let _ = thread.join();
        }
    }
}

async fn open(host: &Host) -> anyhow::Result<SyncDevice> {
    let opening = host.spawn(async {
        let device = DeviceBuilder::new().name(DEVICE).enable(false);
        let device = device.build_sync()?;
        device.set_nonblocking(true)?;
        io::Result::Ok(device)
    });
    let device = opening.await.context("the thread ended")?;
    device.context("cannot make a TUN device, which needs root and /dev/net/tun")
}

impl Line {
    fn run(&mut self) {
        hurry();
        let mut buffer = vec![0; LARGEST];
        loop {
            self.send_due();
            let Some([near, far]) = self.wait() else {
                return;
            };
            if near {
                self.receive(Direction::ToServer, &mut buffer);
            }
            if far {
                self.receive(Direction::ToClient, &mut buffer);
            }
        }
    }

    /// Waits for packets or for the next one's time; which ends have some. `None`: it is over.
    fn wait(&self) -> Option<[bool; 2]> {
        let mut fds = [
            PollFd::new(&self.end, PollFlags::IN),
            PollFd::new(&self.near, PollFlags::IN),
            PollFd::new(&self.far, PollFlags::IN),
        ];
        let now = Instant::now();
        let next = self.core.poll_timeout();
        let left = next.map(|next| next.saturating_duration_since(now));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        // A signal ends the wait early, which does no harm.
        let _ = poll(&mut fds, left.as_ref());
        let [end, near, far] = fds.map(|fd| !fd.revents().is_empty());
        (!end).then_some([near, far])
    }

    fn receive(&mut self, direction: Direction, buffer: &mut [u8]) {
        let device = match direction {
            Direction::ToServer => &self.near,
            Direction::ToClient => &self.far,
        };
        for _ in 0..BATCH {
            // There is no more, or the device is not up.
            let Ok(count) = device.recv(buffer) else {
                return;
            };
            let payload = buffer[..count].to_vec();
            let packet = Packet { flow: 0, payload };
            self.core.handle_packet(Instant::now(), direction, packet);
        }
    }

    fn send_due(&mut self) {
        let now = Instant::now();
        while let Some((direction, packet)) = self.core.poll_packet(now) {
            let device = match direction {
                Direction::ToServer => &self.far,
                Direction::ToClient => &self.near,
            };
            // One that is not up takes nothing: the packet is lost, as on any line.
            let _ = device.send(&packet.payload);
        }
    }
}
