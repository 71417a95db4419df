//! What becomes of an agent whose tasks die.

use std::io::{self, IoSliceMut};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};
use tokio::time::timeout;

use super::super::Surroundings;
use super::*;
use crate::config::Config;
use crate::forward::Port;
use crate::forward::testing::Writable;
use crate::identity::Identity;

const LONG: Duration = Duration::from_secs(3_600);

/// Nothing arrives, until it breaks.
#[derive(Debug, Default)]
struct Socket {
    broken: AtomicBool,
    reader: Mutex<Option<std::task::Waker>>,
}

impl Socket {
    fn break_down(&self) {
        self.broken.store(true, Ordering::Relaxed);
        let reader = self.reader.lock().unwrap().take();
        reader.expect("somebody reads").wake();
    }
}

impl AsyncUdpSocket for Socket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Writable)
    }

    fn try_send(&self, _: &Transmit<'_>) -> io::Result<()> {
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        _: &mut [IoSliceMut<'_>],
        _: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let broken = self.broken.load(Ordering::Relaxed);
        assert!(!broken, "a defect, as the test wants it");
        *self.reader.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 4433)))
    }
}

fn start(yaml: &str) -> (Agent, Arc<Socket>) {
    let config = Config::parse(yaml, "agent.yaml", Path::new("."), &|_| None).unwrap();
    let parts = Parts::in_memory(config, Identity::ephemeral().unwrap()).unwrap();
    let socket = Arc::new(Socket::default());
    let port = Port::over(socket.clone()).unwrap();
    let (accepted, _) = mpsc::channel(1);
    let surroundings = Surroundings::new(move |_| Ok(port.clone()), accepted);
    (Agent::embed(parts, &surroundings).unwrap(), socket)
}

const YAML: &str = "listeners: [{ transport: quic, address: '127.0.0.1:0' }]\n\
    trust: { allow: ['000102030405060708090a0b0c0d0e0f'] }\n\
    exit: { enabled: true, routes: [10.0.0.0/8] }\n\
    socks5: { enabled: true }\n\
    peers: [{ id: '101112131415161718191a1b1c1d1e1f', address: '127.0.0.1:1', transport: quic }]\n";

#[tokio::test(start_paused = true)]
async fn an_agent_that_loses_a_vital_task_says_which() {
    let (mut agent, socket) = start(YAML);
    assert!(timeout(LONG, agent.failed()).await.is_err());
    socket.break_down();
    let failed = timeout(LONG, agent.failed()).await.unwrap();
    let text = failed.to_string();
    let expected = "the receive task panicked (a defect, as the test wants it); ";
    assert!(text.starts_with(expected), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_given_up_is_no_failure() {
    let retries = "connections: { reconnect: { max_retries: 1 } }\n";
    let (mut agent, _socket) = start(&format!("{YAML}{retries}"));
    assert!(timeout(LONG, agent.failed()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_accepts_no_more_sessions_has_failed() {
    let (mut agent, _socket) = start(YAML);
    let listener = agent.shared.tunnel.listener.as_ref();
    listener.expect("it is an exit").close("broken");
    let failed = timeout(LONG, agent.failed()).await.unwrap();
    assert_eq!(failed.task, "accept sessions");
}
