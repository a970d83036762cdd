//! The listener of the metrics: its path, slow readers, and its address.

use super::*;

#[test]
fn there_is_one_path_and_it_is_only_read() {
    let server = site().start();
    let address = server.metrics_address();
    let status = |request| get(address, request).0.lines().next().unwrap().to_owned();
    assert_eq!(status("GET /"), "HTTP/1.1 404 Not Found");
    assert_eq!(status("GET /metrics/x"), "HTTP/1.1 404 Not Found");
    assert_eq!(status("POST /metrics"), "HTTP/1.1 405 Method Not Allowed");
    assert_eq!(status("GET /metrics?x"), "HTTP/1.1 200 OK");
    let (head, body) = get(address, "HEAD /metrics");
    assert!(
        head.starts_with("HTTP/1.1 200 OK") && body.is_empty(),
        "{head}\n{body}"
    );
    // And the API's own listener has no metrics.
    assert!(server.api_with(None).raw("/metrics", b"").is_err());
}

#[test]
fn nobody_who_scrapes_holds_the_server_up() {
    let server = site().start();
    server.api().run(on("hello", "n1"));
    let before = usage::descriptors(server.id()).len();
    let silent = |text: &str| {
        let mut stream = TcpStream::connect(server.metrics_address()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    };
    // More than there may be at once: who says nothing, who stops half-way, who sends without end.
    let mut many: Vec<_> = (0..40).map(|_| silent("")).collect();
    many.extend((0..40).map(|_| silent("GET /metrics HTTP/1.1\r\nx: ")));
    let endless = format!("GET /metrics HTTP/1.1\r\nx: {}", "x".repeat(64 * 1024));
    many.push(silent(&endless));
    let open = usage::descriptors(server.id()).len();
    assert!(
        open < before + 72,
        "{before} descriptors have become {open}"
    );
    let run = server.api().run(on("hello", "n1"));
    assert_eq!(run.answer_of("n1"), "hello\n");
    // Who does say something gets an answer while they are there.
    server.scrape();
    // A connection that is not spoken over is closed in the end.
    let mut first = many.remove(0);
    first.set_read_timeout(Some(CEILING)).unwrap();
    assert_eq!(first.read(&mut [0; 1]).unwrap(), 0);
    drop((first, many));
    server.scrape();
}

#[test]
fn an_address_that_others_reach_must_be_wanted() {
    let site = site();
    let text = site
        .read("server.yaml")
        .replace("\"127.0.0.1:0\"", "\"0.0.0.0:0\"");
    site.write("server.yaml", &text);
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: SITE/server.yaml:8: metrics_listen: 0.0.0.0:0 is not a loopback address, and any user who can reach it would read the metrics; listen on 127.0.0.1 behind a web server with a login, or set insecure_metrics_listen: true
    ------- exit 78 -------
    ");
    site.settings("insecure_metrics_listen: true");
    let server = site.start();
    assert!(server.log().contains("metrics at http://0.0.0.0:"));
    let site = server.stop();
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    site.write(
        "server.yaml",
        text.replace("0.0.0.0:0", &format!("127.0.0.1:{}", taken.port())),
    );
    let told = site
        .refused()
        .stderr()
        .replace(&taken.port().to_string(), "PORT");
    let last = told.lines().last().unwrap();
    insta::assert_snapshot!(last, @"error: metrics_listen: cannot listen on 127.0.0.1:PORT: Address already in use (os error 98)");
}
