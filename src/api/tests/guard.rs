use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::super::caller::Caller;
use super::super::router::router;
use super::super::testing::{FakeAgent, serve};
use super::*;

const LOCAL: &str = "127.0.0.1:50000";
const LOCAL_V6: &str = "[::1]:50000";
const MAPPED: &str = "[::ffff:127.0.0.1]:50000";
const REMOTE: &str = "192.0.2.9:50000";

/// Through the local socket.
const OPERATOR: &str = "socket";

const RIGHT: (&str, &str) = ("authorization", "Bearer s3cret");
const WRONG: (&str, &str) = ("authorization", "Bearer guess");
const EVIL: (&str, &str) = ("host", "evil.example:8080");

fn with_token() -> Settings {
    settings().with_token("s3cret", false)
}

fn endpoints(settings: &Settings) -> Router {
    router(FakeAgent::new(&settings.metrics), settings)
}

/// Calls the router as a client at `peer`; the Host header is `localhost` unless given.
async fn call(
    router: &Router,
    peer: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, axum::http::HeaderMap, String) {
    send("GET", router, peer, path, headers).await
}

async fn send(
    method: &str,
    router: &Router,
    peer: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> (u16, axum::http::HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "localhost:8080");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let caller = match peer {
        OPERATOR => Caller::Operator,
        _ => Caller::At(peer.parse().unwrap()),
    };
    let request = request.extension(caller).body(Body::empty());
    let service = TowerToHyperService::new(router.clone());
    let (head, body) = service.call(request.unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.to_vec()).unwrap();
    (head.status.as_u16(), head.headers, body)
}

#[tokio::test]
async fn without_a_token_management_is_for_this_host_only() {
    let router = endpoints(&settings());
    for (peer, headers, status) in [
        (LOCAL, &[][..], 200),
        (LOCAL_V6, &[], 200),
        (MAPPED, &[], 200),
        // No token is configured, so none is looked at.
        (LOCAL, &[WRONG], 200),
        (LOCAL, &[EVIL], 403),
        (LOCAL, &[("origin", "http://evil.example")], 403),
        (LOCAL, &[("x-forwarded-for", "192.0.2.1")], 403),
        (REMOTE, &[], 403),
        (REMOTE, &[RIGHT], 403),
        (REMOTE, &[("x-forwarded-for", "127.0.0.1")], 403),
    ] {
        for path in [
            "peers",
            "routes",
            "streams",
            "sessions",
            "topology",
            "explain?dest=10.0.0.1",
        ] {
            let path = format!("/api/{path}");
            let (answered, _, body) = call(&router, peer, &path, headers).await;
            assert_eq!(answered, status, "{peer} {path} {headers:?}: {body}");
            assert_eq!(body.starts_with("{\"error\":"), status != 200, "{body}");
        }
    }
}

/// Whoever may only look changes nothing, by whatever method.
#[tokio::test]
async fn nobody_else_drains_or_reloads() {
    for settings in [settings(), with_token()] {
        let router = endpoints(&settings);
        for path in [
            "/api/drain",
            "/api/undrain",
            "/api/reload",
            "/api/routes/advertise",
        ] {
            for headers in [
                &[][..],
                &[WRONG],
                &[("x-forwarded-for", "127.0.0.1")],
                &[("x-http-method-override", "POST")],
                &[("upgrade", "h2c"), ("connection", "upgrade")],
            ] {
                for method in [
                    "POST", "GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "BREW",
                ] {
                    let (status, _, body) = send(method, &router, REMOTE, path, headers).await;
                    let refused = matches!(status, 401 | 403 | 405 | 429);
                    assert!(refused, "{method} {path} {headers:?}: {status} {body}");
                    let post = method == "POST";
                    assert!(!post || status != 405, "{path}");
                }
            }
            let (status, ..) = send("POST", &router, LOCAL, path, &[EVIL]).await;
            assert!(matches!(status, 401 | 403), "{status}");
            let page = [("origin", "http://evil.example")];
            let (status, ..) = send("POST", &router, LOCAL, path, &page).await;
            assert!(matches!(status, 401 | 403), "{status}");
        }
        let (status, ..) = call(&router, REMOTE, "/ready", &[]).await;
        assert_eq!(status, 200, "nobody drained it");
        let (status, ..) = send("POST", &router, OPERATOR, "/api/drain", &[]).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn the_token_opens_management_to_others() {
    let router = endpoints(&with_token());
    for (peer, headers, status) in [
        (REMOTE, &[RIGHT][..], 200),
        (REMOTE, &[RIGHT, EVIL], 200),
        (REMOTE, &[("authorization", "bearer  s3cret ")], 200),
        (REMOTE, &[], 401),
        (REMOTE, &[WRONG], 401),
        (REMOTE, &[("authorization", "Basic s3cret")], 401),
        (REMOTE, &[("authorization", "Bearer")], 401),
        // A proxy on this host passes on whom it likes.
        (LOCAL, &[], 401),
        (LOCAL_V6, &[], 401),
        (MAPPED, &[], 401),
        (LOCAL, &[RIGHT, EVIL], 200),
        (LOCAL, &[EVIL], 401),
        (LOCAL, &[WRONG], 401),
        (OPERATOR, &[], 200),
        (OPERATOR, &[EVIL], 200),
        (OPERATOR, &[WRONG], 200),
    ] {
        let (answered, head, body) = call(&router, peer, "/api/peers", headers).await;
        assert_eq!(answered, status, "{peer} {headers:?}: {body}");
        let challenge = head.get("www-authenticate").map(|v| v.to_str().unwrap());
        let expected = (status == 401).then_some("Bearer realm=\"warren\"");
        assert_eq!(challenge, expected, "{peer} {headers:?}");
    }
}

#[tokio::test]
async fn loopback_needs_no_token_where_the_file_says_so() {
    let router = endpoints(&settings().with_token("s3cret", true));
    for (peer, headers, status) in [
        (LOCAL, &[][..], 200),
        (LOCAL_V6, &[], 200),
        (LOCAL, &[EVIL], 403),
        (LOCAL, &[("host", "[::1]evil")], 403),
        (LOCAL, &[("x-forwarded-for", "192.0.2.1")], 403),
        (LOCAL, &[WRONG], 401),
        (REMOTE, &[], 401),
        (REMOTE, &[RIGHT], 200),
    ] {
        let (answered, _, body) = call(&router, peer, "/api/peers", headers).await;
        assert_eq!(answered, status, "{peer} {headers:?}: {body}");
    }
}

#[tokio::test]
async fn names_and_reasons_are_for_who_may_manage() {
    let (open, closed) = (endpoints(&settings()), endpoints(&with_token()));
    for (router, peer, headers, told) in [
        (&open, LOCAL, &[][..], true),
        (&open, REMOTE, &[], false),
        (&open, LOCAL, &[("x-forwarded-for", "192.0.2.1")], false),
        (&closed, LOCAL, &[], false),
        (&closed, REMOTE, &[RIGHT], true),
        (&closed, REMOTE, &[WRONG], false),
        (&closed, OPERATOR, &[], true),
    ] {
        let (status, _, body) = call(router, peer, "/healthz", headers).await;
        assert_eq!(status, 200, "{body}");
        let health: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["peers"], 2);
        let name = if told { "ingress-1" } else { "" };
        assert_eq!(health["display_name"], name, "{peer} {headers:?}");
    }
}

#[tokio::test]
async fn guessing_ends_in_429_for_the_guesser_alone() {
    let router = endpoints(&with_token());
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(call(&router, REMOTE, "/api/peers", &[WRONG]).await);
    }
    let (status, head, _) = answers.pop().unwrap();
    assert_eq!(status, 429);
    assert_eq!(head["retry-after"], "1");
    assert!(answers.iter().all(|(status, ..)| *status == 401));
    let (status, ..) = call(&router, "192.0.2.10:1", "/api/peers", &[RIGHT]).await;
    assert_eq!(status, 200);
    // Known by now, so the guesser's address does not matter.
    let (status, ..) = call(&router, REMOTE, "/api/peers", &[RIGHT]).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn health_and_metrics_are_for_anyone() {
    let router = endpoints(&with_token());
    for path in ["/health", "/healthz", "/ready", "/metrics"] {
        let (status, ..) = call(&router, REMOTE, path, &[EVIL]).await;
        assert_eq!(status, 200, "{path}");
    }
    let (status, ..) = call(&router, REMOTE, "/api/nothing", &[]).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn refusals_are_counted_by_reason() {
    let settings = settings();
    let router = endpoints(&settings);
    call(&router, REMOTE, "/api/peers", &[]).await;
    call(&router, LOCAL, "/api/peers", &[EVIL]).await;
    let (_, _, metrics) = call(&router, LOCAL, "/metrics", &[]).await;
    for reason in ["not_local", "host"] {
        let line = format!("warren_http_refusals_total{{reason=\"{reason}\"}} 1");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[tokio::test]
async fn the_socket_tells_the_guard_who_calls() {
    let fake = serve(settings()).await;
    assert_eq!(get(fake.address, "/api/peers").await.status, 200);
    let rebound = "GET /api/peers HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let answer = raw(fake.address, rebound).await;
    assert_eq!(answer.status, 403);
    assert!(answer.error().contains("Host header"), "{answer:?}");
    let plain = raw(fake.address, "GET /api/peers HTTP/1.0\r\n\r\n").await;
    assert_eq!(plain.status, 200);
}

#[tokio::test]
async fn names_in_metrics_are_for_management_too() {
    for (settings, peer, headers, names) in [
        (settings(), LOCAL, &[][..], true),
        (
            settings(),
            LOCAL,
            &[("x-forwarded-for", "192.0.2.1")],
            false,
        ),
        (settings(), REMOTE, &[], false),
        (with_token(), LOCAL, &[], false),
        (with_token(), REMOTE, &[RIGHT], true),
        (with_token(), REMOTE, &[WRONG], false),
        (with_token(), OPERATOR, &[], true),
    ] {
        let router = endpoints(&settings);
        let (status, _, body) = call(&router, peer, "/metrics", headers).await;
        assert_eq!(status, 200);
        let told = format!("names_told {}\n", u8::from(names));
        assert!(body.starts_with(&told), "{peer} {headers:?}");
    }
}

/// Each wrong token costs a hash; those at endpoints for anyone come out of the same few.
#[tokio::test]
async fn tokens_are_tried_as_seldom_at_endpoints_for_anyone() {
    for path in ["/healthz", "/metrics"] {
        let settings = with_token();
        let router = endpoints(&settings);
        for _ in 0..10 {
            let (status, _, _) = call(&router, REMOTE, path, &[WRONG]).await;
            assert_eq!(status, 200, "it answers anyone");
        }
        let (status, _, _) = call(&router, REMOTE, "/api/peers", &[WRONG]).await;
        assert_eq!(status, 429, "{path}");
        let (_, _, metrics) = call(&router, OPERATOR, "/metrics", &[]).await;
        let refused = |reason: &str| {
            let name = format!("warren_http_refusals_total{{reason=\"{reason}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name));
            line.unwrap_or_default().parse::<u32>().unwrap()
        };
        assert!((5..=7).contains(&refused("wrong_token")), "{metrics}");
        assert_eq!(refused("wrong_token") + refused("too_often"), 11);
    }
}
