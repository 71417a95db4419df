//! Handshakes over loopback: who gets a connection, and what the other side hears.

use std::net::Ipv4Addr;
use std::time::Duration;

use quinn::{Connection, ConnectionError, Endpoint};
use tokio::time::timeout;

use super::*;
use crate::clock::unix_now;
use crate::identity::testing::trust;
use crate::identity::{Authority, Issued, RefusedBy, Validity};
use crate::quic::{self, peer_certificate};

/// Far above what an idle machine needs.
const SOON: Duration = Duration::from_secs(20);

/// A CA and two agents of it, valid now, because handshakes ask the host's clock.
struct Mesh {
    ca: Issued,
    ours: Identity,
    theirs: Identity,
}

fn mesh() -> Mesh {
    let validity = Validity::days(unix_now(), 30);
    let (authority, ca) = Authority::create("mesh", validity).unwrap();
    let member = |name| {
        let issued = authority.issue(name, None, validity).unwrap();
        Identity::from_issued(issued).unwrap()
    };
    Mesh {
        ours: member("ours"),
        theirs: member("theirs"),
        ca,
    }
}

/// Both sides' ends of a connection, each as far as it came.
async fn shake(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> (
    Result<Connection, ConnectionError>,
    Result<Connection, ConnectionError>,
) {
    let at = (Ipv4Addr::LOCALHOST, 0).into();
    let server = quinn::ServerConfig::with_crypto(quic::server(server).unwrap());
    let listening = Endpoint::server(server, at).unwrap();
    let address = listening.local_addr().unwrap();
    let dialling = Endpoint::client(at).unwrap();
    let dial = async {
        let config = quinn::ClientConfig::new(quic::client(client).unwrap());
        let connection = dialling
            .connect_with(config, address, SERVER_NAME)
            .unwrap()
            .await?;
        // In TLS 1.3 the dialling side is done before the other has judged it.
        match connection.accept_uni().await {
            Ok(_) => Ok(connection),
            Err(refused) => Err(refused),
        }
    };
    let listen = async {
        let connection = listening.accept().await.unwrap().await?;
        connection
            .open_uni()
            .await?
            .write_all(b"welcome")
            .await
            .unwrap();
        Ok(connection)
    };
    let both = async { tokio::join!(dial, listen) };
    timeout(SOON, both).await.expect("a handshake ends")
}

#[tokio::test]
async fn members_meet_and_know_each_other_by_id() {
    let Mesh { ca, ours, theirs } = mesh();
    let trust = Arc::new(trust(&[&ca], &[]));
    let client = link_client(&ours, trust.clone(), theirs.id()).unwrap();
    let (dialled, accepted) = shake(client, link_server(&theirs, trust).unwrap()).await;
    let id = |connection: Result<Connection, _>| peer_certificate(&connection.unwrap()).unwrap().id;
    assert_eq!((id(dialled), id(accepted)), (theirs.id(), ours.id()));
}

#[tokio::test]
async fn a_handshake_shows_the_certificate_of_its_moment() {
    let validity = Validity::days(unix_now(), 30);
    let (authority, ca) = Authority::create("mesh", validity).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let member = |name: &str| {
        let (certificate, key) = (dir.path().join(name), dir.path().join("key").join(name));
        std::fs::create_dir_all(key.parent().unwrap()).unwrap();
        let issued = authority.issue(name, None, validity).unwrap();
        issued.store(&certificate, &key).unwrap();
        let newer = authority.reissue(&key, name, None, validity);
        [issued, newer.unwrap()].map(|issued| Identity::from_issued(issued).unwrap())
    };
    let ([ours, our_newer], [theirs, their_newer]) = (member("ours"), member("theirs"));
    let trust = Arc::new(trust(&[&ca], &[]));
    let client = link_client(&ours, trust.clone(), theirs.id()).unwrap();
    let server = link_server(&theirs, trust).unwrap();
    let seen = async || {
        let (dialled, accepted) = shake(client.clone(), server.clone()).await;
        let serial = |end: Result<Connection, _>| peer_certificate(&end.unwrap()).unwrap().serial;
        (serial(dialled), serial(accepted))
    };
    let serials =
        |theirs: &Identity, ours: &Identity| (theirs.parsed().serial, ours.parsed().serial);
    let before = serials(&theirs, &ours);
    assert_eq!(seen().await, before);
    assert!(ours.renew(&our_newer) && theirs.renew(&their_newer));
    assert!(!ours.renew(&our_newer), "the same again");
    let after = serials(&their_newer, &our_newer);
    assert_ne!(before, after);
    assert_eq!(seen().await, after);
}

#[tokio::test]
async fn another_agent_than_the_one_that_was_meant_gets_no_connection() {
    let Mesh { ca, ours, theirs } = mesh();
    let trust = Arc::new(trust(&[&ca], &[]));
    let client = link_client(&ours, trust.clone(), ours.id()).unwrap();
    let (dialled, accepted) = shake(client, link_server(&theirs, trust).unwrap()).await;
    let refusal = quic::refusal(&dialled.unwrap_err()).unwrap();
    assert_eq!(refusal.by, RefusedBy::Us);
    assert!(refusal.reason.starts_with("wrong id"), "{refusal}");
    let refusal = quic::refusal(&accepted.unwrap_err()).unwrap();
    assert_eq!(refusal.by, RefusedBy::Peer);
}

#[tokio::test]
async fn either_side_refuses_strangers_and_says_why() {
    let Mesh { ca, ours, theirs } = mesh();
    let stranger = Identity::ephemeral().unwrap();
    let strict = Arc::new(trust(&[&ca], &[]));
    let open = Arc::new(trust(&[&ca], &[stranger.id()]));

    let client = tunnel_client(&stranger, open.clone(), theirs.id()).unwrap();
    let server = tunnel_server(&theirs, strict.clone()).unwrap();
    let (dialled, accepted) = shake(client, server).await;
    for (end, by) in [(dialled, RefusedBy::Peer), (accepted, RefusedBy::Us)] {
        let refusal = quic::refusal(&end.unwrap_err()).unwrap();
        assert_eq!(refusal.by, by);
        assert!(refusal.reason.starts_with("stranger"), "{refusal}");
    }

    let client = tunnel_client(&ours, strict, stranger.id()).unwrap();
    let server = tunnel_server(&stranger, open).unwrap();
    let (dialled, _) = shake(client, server).await;
    let refusal = quic::refusal(&dialled.unwrap_err()).unwrap();
    assert_eq!(refusal.by, RefusedBy::Us);
}

#[tokio::test]
async fn sessions_take_an_ingress_and_an_exit() {
    let validity = Validity::days(unix_now(), 30);
    let (authority, ca) = Authority::create("mesh", validity).unwrap();
    let member = |role: &str| {
        let uri = format!("warren:role:{role}");
        let grants = crate::identity::Grants::from_uris([uri.as_str()]).unwrap();
        let issued = authority.issue(role, grants.as_ref(), validity).unwrap();
        Identity::from_issued(issued).unwrap()
    };
    let trust = Arc::new(trust(&[&ca], &[]));
    let (ingress, transit, exit) = (member("ingress"), member("transit"), member("exit"));
    for (opens, serves, refused) in [
        (&ingress, &exit, None),
        (&transit, &exit, Some("ingress")),
        (&exit, &exit, Some("ingress")),
        (&ingress, &transit, Some("exit")),
    ] {
        let client = tunnel_client(opens, trust.clone(), serves.id()).unwrap();
        let server = tunnel_server(serves, trust.clone()).unwrap();
        let (dialled, accepted) = shake(client, server).await;
        let reason = [dialled.err(), accepted.err()]
            .into_iter()
            .flatten()
            .find_map(|error| quic::refusal(&error));
        assert_eq!(reason.is_some(), refused.is_some(), "{refused:?}");
        if let (Some(reason), Some(role)) = (reason, refused) {
            assert!(reason.reason.starts_with("not granted"), "{reason}");
            assert!(reason.reason.ends_with(role), "{reason}");
        }
        // A link takes no role.
        let client = link_client(opens, trust.clone(), serves.id()).unwrap();
        let server = link_server(serves, trust.clone()).unwrap();
        let (dialled, _) = shake(client, server).await;
        assert!(dialled.is_ok());
    }
}

#[tokio::test]
async fn links_and_sessions_are_not_taken_for_each_other() {
    let Mesh { ca, ours, theirs } = mesh();
    let trust = Arc::new(trust(&[&ca], &[]));
    let client = link_client(&ours, trust.clone(), theirs.id()).unwrap();
    let (dialled, accepted) = shake(client, tunnel_server(&theirs, trust).unwrap()).await;
    assert!(dialled.is_err() && accepted.is_err());
}
