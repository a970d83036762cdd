//! How the client finds its server and trusts it.

use crate::harness::{bare_client, finish};
use crate::server::{Server, State};
use tokio::net::TcpListener;

#[tokio::test]
async fn a_path_prefix_goes_before_every_method() {
    let server = Server::start(State::default()).await;
    let ran = server.run(&["estate-list"]).await;
    assert_eq!(ran.stdout, "n3\nn1\nn2\nn10\nlogin\n", "{}", ran.stderr);
    assert_eq!(ran.code, Some(0));
    let ran = server.run(&["nodes", "--json", "-g", "n1"]).await;
    assert!(
        ran.stdout
            .starts_with("{\"event\":\"node\",\"name\":\"n3\","),
        "{}",
        ran.stdout
    );
    assert!(server.state().seen.contains(&"ListNodes n1".to_owned()));
}

#[tokio::test]
async fn https_is_trusted_by_a_given_authority_or_not_at_all() {
    let (server, certificate) = Server::start_with_tls(State::default()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate).unwrap();
    let run = async |host: &str, lines: &str| {
        let file = folder.path().join("client.yaml");
        let port = server.port();
        let text = format!("base_url: https://{host}:{port}/action\njwt_token: t0ken\n{lines}");
        std::fs::write(&file, text).unwrap();
        let mut client = bare_client("action-client", &["nodes"]);
        client
            .env("ACTION_CLIENT_CONFIG", file)
            .env("ACTION_CLIENT_TIMEOUT", "20s");
        finish(client).await
    };
    let ran = run("localhost", "ca_path: ca.pem\n").await;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let ran = run("localhost", "").await;
    assert!(
        ran.stderr.contains("UnknownIssuer") && ran.code == Some(255),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("hint: set `ca_path`"), "{}", ran.stderr);
    let ran = run("127.0.0.1", "ca_path: ca.pem\n").await;
    assert!(
        ran.stderr
            .contains("certificate is not for 127.0.0.1, but for localhost")
            && ran.code == Some(255),
        "{}",
        ran.stderr
    );
    let ran = run("127.0.0.1", "verify_ssl: false\n").await;
    assert!(
        ran.stderr.starts_with("warning: verify_ssl is false"),
        "{}",
        ran.stderr
    );
    assert_eq!((ran.code, ran.stderr.lines().count()), (Some(0), 1));
}

#[tokio::test]
async fn without_a_server_help_says_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    for (word, code) in [("help", 255), ("--help", 0)] {
        let mut client = bare_client("action-client", &[word]);
        client.env("ACTION_CLIENT_BASE_URL", format!("http://{address}"));
        let ran = finish(client).await;
        assert!(ran.stdout.contains("estate-list"), "{}", ran.stdout);
        assert!(
            ran.stderr
                .contains(&format!("cannot reach the server at http://{address}:"))
        );
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert_eq!(ran.code, Some(code));
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = bare_client("action-client", &["nodes"]);
    client.env(
        "ACTION_CLIENT_BASE_URL",
        format!("http://{}", listener.local_addr().unwrap()),
    );
    client.env("ACTION_CLIENT_TIMEOUT", "300ms");
    let ran = finish(client).await;
    assert!(
        ran.stderr.contains("no answer within 300ms"),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, Some(255));
}

#[tokio::test]
async fn a_bad_token_has_a_remedy() {
    let server = Server::start(State::default()).await;
    let mut client = server.client("action-client", &["usage", "n1", "x"]);
    client.env("ACTION_CLIENT_JWT_TOKEN", "wrong");
    let ran = finish(client).await;
    assert_eq!(ran.code, Some(255));
    assert!(ran.stderr.contains("generate-token") && !ran.stderr.contains("wrong"));
}
