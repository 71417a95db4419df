use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, ConnectionError, Endpoint, VarInt};

use super::*;
use crate::identity::testing::{Mesh, pins, posing_as, self_signed_at};
use crate::identity::{Refusal, RefusedBy, unix_now};

/// Long enough for a loaded machine; a handshake on loopback takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// How one side saw a handshake end.
type Outcome = Result<Connection, ConnectionError>;

/// A dialling and a listening agent on loopback.
struct Pair {
    dialler: Endpoint,
    listener: Endpoint,
}

impl Pair {
    fn new(client: Arc<QuicClientConfig>, server: Arc<QuicServerConfig>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut dialler = Endpoint::client(any).unwrap();
        dialler.set_default_client_config(quinn::ClientConfig::new(client));
        let server = quinn::ServerConfig::with_crypto(server);
        let listener = Endpoint::server(server, any).unwrap();
        Self { dialler, listener }
    }

    /// Both sides' view. The dialling side finishes first and learns of a refusal later, so its
    /// connection counts only once it has carried the listener's greeting.
    async fn shake_hands(&self) -> (Outcome, Outcome) {
        let address = self.listener.local_addr().unwrap();
        let dial = async {
            let connection = self.dialler.connect(address, SERVER_NAME).unwrap().await?;
            connection.accept_uni().await?;
            Ok(connection)
        };
        let accept = async {
            let connection = self.listener.accept().await.unwrap().await?;
            let mut greeting = connection.open_uni().await?;
            greeting.write_all(b"!").await.unwrap();
            Ok(connection)
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(dial, accept) })
            .await
            .expect("a handshake ends")
    }
}

/// The handshake of a link between two agents, the dialling one expecting `expected`.
async fn link(
    (dialler, dialler_trust): (&Identity, Trust),
    expected: AgentId,
    (listener, listener_trust): (&Identity, Trust),
) -> (Outcome, Outcome) {
    let client = link_client(dialler, Arc::new(dialler_trust), expected).unwrap();
    let server = link_server(listener, Arc::new(listener_trust)).unwrap();
    Pair::new(client, server).shake_hands().await
}

/// What each side says of a refusal: the side that refused, and the reason.
fn reasons(outcomes: &(Outcome, Outcome)) -> (Refusal, Refusal) {
    let reason = |outcome: &Outcome| Refusal::of(outcome.as_ref().unwrap_err()).unwrap();
    (reason(&outcomes.0), reason(&outcomes.1))
}

/// Asserts that the dialling side refused, and that both sides know why.
fn assert_dialler_refused(outcomes: &(Outcome, Outcome), label: &str) {
    let (dialler, listener) = reasons(outcomes);
    assert_eq!((dialler.by, listener.by), (RefusedBy::Us, RefusedBy::Peer));
    assert_eq!(dialler.reason, listener.reason);
    assert!(dialler.reason.starts_with(label), "{dialler}");
}

/// Asserts that the listening side refused, and that both sides know why.
fn assert_listener_refused(outcomes: &(Outcome, Outcome), label: &str) {
    let (dialler, listener) = reasons(outcomes);
    assert_eq!((dialler.by, listener.by), (RefusedBy::Peer, RefusedBy::Us));
    assert_eq!(dialler.reason, listener.reason);
    assert!(dialler.reason.starts_with(label), "{dialler}");
}

#[tokio::test]
async fn members_of_a_mesh_know_each_other_after_the_handshake() {
    let mesh = Mesh::new("mesh");
    let (one, two) = (mesh.agent(), mesh.agent());
    let (dialled, accepted) =
        link((&one, mesh.trust(&[])), two.id(), (&two, mesh.trust(&[]))).await;
    let (dialled, accepted) = (dialled.unwrap(), accepted.unwrap());
    assert_eq!(peer_certificate(&dialled).unwrap(), *two.parsed());
    assert_eq!(peer_certificate(&accepted).unwrap(), *one.parsed());
    let data = accepted
        .handshake_data()
        .unwrap()
        .downcast::<HandshakeData>()
        .unwrap();
    assert_eq!(data.protocol.as_deref(), Some(LINK_ALPN));
    assert_eq!(data.server_name, None, "no name travels in clear text");
}

#[tokio::test]
async fn self_signed_agents_that_pin_each_other_connect() {
    let (one, two) = (
        Identity::ephemeral().unwrap(),
        Identity::ephemeral().unwrap(),
    );
    let (trust_one, trust_two) = (pins(&[two.id()]), pins(&[one.id()]));
    let outcomes = link((&one, trust_one), two.id(), (&two, trust_two)).await;
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok(), "{outcomes:?}");
}

#[tokio::test]
async fn a_stranger_who_dials_is_refused() {
    let mesh = Mesh::new("mesh");
    let (stranger, two) = (Identity::ephemeral().unwrap(), mesh.agent());
    let outcomes = link(
        (&stranger, mesh.trust(&[])),
        two.id(),
        (&two, mesh.trust(&[])),
    );
    assert_listener_refused(&outcomes.await, "stranger: ");
}

#[tokio::test]
async fn a_stranger_who_is_dialled_is_refused() {
    let mesh = Mesh::new("mesh");
    let (one, stranger) = (mesh.agent(), Identity::ephemeral().unwrap());
    let outcomes = link(
        (&one, mesh.trust(&[])),
        stranger.id(),
        (&stranger, mesh.trust(&[])),
    );
    assert_dialler_refused(&outcomes.await, "stranger: ");
}

#[tokio::test]
async fn a_dialled_peer_with_another_id_is_refused() {
    let mesh = Mesh::new("mesh");
    let (one, two) = (mesh.agent(), mesh.agent());
    let outcomes = link((&one, mesh.trust(&[])), one.id(), (&two, mesh.trust(&[]))).await;
    assert_dialler_refused(&outcomes, "wrong id: ");
    let text = Refusal::of(outcomes.0.as_ref().unwrap_err())
        .unwrap()
        .to_string();
    assert!(text.contains(&two.id().to_string()), "{text}");
}

#[tokio::test]
async fn members_of_another_mesh_are_refused() {
    let (mesh, other) = (Mesh::new("mesh"), Mesh::new("other"));
    let (one, foreign) = (mesh.agent(), other.agent());
    let outcomes = link(
        (&foreign, mesh.trust(&[])),
        one.id(),
        (&one, mesh.trust(&[])),
    );
    assert_listener_refused(&outcomes.await, "foreign CA: ");
    let outcomes = link(
        (&one, mesh.trust(&[])),
        foreign.id(),
        (&foreign, mesh.trust(&[])),
    );
    assert_dialler_refused(&outcomes.await, "foreign CA: ");
}

#[tokio::test]
async fn certificates_outside_their_period_are_refused_though_pinned() {
    let week = 7 * 86_400;
    let one = Identity::ephemeral().unwrap();
    for (from, label) in [
        (unix_now() - week, "expired: "),
        (unix_now() + week, "not yet valid: "),
    ] {
        let late = self_signed_at(from, 1);
        let (trust_one, trust_late) = (pins(&[late.id()]), pins(&[one.id()]));
        let outcomes = link((&one, trust_one), late.id(), (&late, trust_late)).await;
        assert_dialler_refused(&outcomes, label);
    }
}

#[tokio::test]
async fn a_copied_certificate_without_its_key_is_refused() {
    let mesh = Mesh::new("mesh");
    let (one, victim) = (mesh.agent(), mesh.agent());
    let thief = posing_as(&victim);
    let outcomes = link(
        (&one, mesh.trust(&[])),
        victim.id(),
        (&thief, mesh.trust(&[])),
    )
    .await;
    let error = outcomes.0.unwrap_err();
    assert!(error.to_string().contains("BadSignature"), "{error}");
    let outcomes = link((&thief, mesh.trust(&[])), one.id(), (&one, mesh.trust(&[]))).await;
    let error = outcomes.1.unwrap_err();
    assert!(error.to_string().contains("BadSignature"), "{error}");
}

#[tokio::test]
async fn links_and_tunnels_do_not_mix() {
    let mesh = Mesh::new("mesh");
    let (one, two) = (mesh.agent(), mesh.agent());
    let trust = Arc::new(mesh.trust(&[]));
    let tunnel = tunnel_client(&one, Arc::clone(&trust), two.id()).unwrap();
    let server = tunnel_server(&two, Arc::clone(&trust)).unwrap();
    let outcomes = Pair::new(Arc::clone(&tunnel), server).shake_hands().await;
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok(), "{outcomes:?}");

    let server = link_server(&two, trust).unwrap();
    let (dialled, accepted) = Pair::new(tunnel, server).shake_hands().await;
    assert_eq!(Refusal::of(&dialled.unwrap_err()), None);
    assert_eq!(Refusal::of(&accepted.unwrap_err()), None);
}

#[tokio::test]
async fn no_session_is_resumed() {
    let mesh = Mesh::new("mesh");
    let (one, two) = (mesh.agent(), mesh.agent());
    let trust = Arc::new(mesh.trust(&[]));
    let client = link_client(&one, Arc::clone(&trust), two.id()).unwrap();
    let pair = Pair::new(client, link_server(&two, trust).unwrap());
    let (first, accepted) = pair.shake_hands().await;
    first.unwrap().close(VarInt::from_u32(0), b"");
    tokio::time::timeout(PATIENCE, accepted.unwrap().closed())
        .await
        .unwrap();
    let address = pair.listener.local_addr().unwrap();
    let connecting = pair.dialler.connect(address, SERVER_NAME).unwrap();
    assert!(
        connecting.into_0rtt().is_err(),
        "nothing was kept that 0-RTT could use"
    );
}
