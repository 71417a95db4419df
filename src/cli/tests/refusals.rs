//! Agents that are not there, refuse, or are something else.

use super::*;

#[tokio::test]
async fn an_agent_that_is_not_there_is_one_clear_line() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let ended = ask(address, &["status"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert_eq!(
        ended.err,
        format!(
            "warren: cannot reach the agent's API at http://{address}: connection refused; is the \
             agent running, and is http.enabled true?\n"
        )
    );
}

#[tokio::test]
async fn the_servers_refusals_are_passed_on() {
    let fake = fake().await;
    let ended = ask(fake.address, &["explain", "unknown.example"]).await;
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.err,
        format!(
            "warren: http://{} answered 502 Bad Gateway: cannot resolve `unknown.example` through \
             the mesh: no exit has servers\n",
            fake.address
        )
    );
}

#[tokio::test]
async fn the_token_is_sent_and_its_lack_explained() {
    let settings = Settings::for_test(Default::default()).with_token("s3cret", false);
    let fake = serve(settings).await;
    let right = ask(fake.address, &["peers", "--token", "s3cret"]).await;
    assert_eq!(right.code, 0, "{right:?}");
    let wrong = ask(fake.address, &["peers", "--token", "guess"]).await;
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("the token is wrong"), "{}", wrong.err);
    assert!(wrong.err.contains("WARREN_TOKEN"), "{}", wrong.err);
    assert!(!wrong.err.contains("guess"), "{}", wrong.err);
}

#[tokio::test]
async fn something_else_on_the_port_is_recognised() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answers = [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "SSH-2.0-x\r\n",
    ];
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for says in ["is not the API of a warren agent", "does not speak HTTP"] {
        let ended = ask(address, &["status"]).await;
        assert_eq!(ended.code, 1);
        assert!(ended.err.contains(says), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1);
    }
}
