//! Only gRPC starts anything. Every method of the server, with content types and HTTP methods of other
//! protocols, directly and through nginx: nothing happens.

use action_proto::v1::{
    CancelRunRequest, GetRunRequest, ListRunsRequest, Outcome, PlanRunRequest, WatchRunRequest,
};
use action_tests::{
    Api, CEILING, Front, Kind, Live, Ran, Server, Site, on,
    program::{hermetic, run},
    wait_until,
};
use http::StatusCode;
use prost::Message;

use crate::methods::{LIST_SERVICES, all_methods};

const GRPC: &str = "application/grpc";
const RUN: &str = "/action.v1.ActionService/RunCommand";

/// Content types of gRPC.
const TYPES: [&str; 4] = [
    GRPC,
    "application/grpc+proto",
    "application/grpc;charset=utf-8",
    "APPLICATION/GRPC",
];

/// Content types of something else: none, or one or two headers.
const OTHER_TYPES: [&[&str]; 12] = [
    &[],
    &[GRPC, GRPC],
    &[GRPC, "application/json"],
    &["application/grpc-web"],
    &["application/grpc-web+proto"],
    &["application/grpc-web-text"],
    &["application/grpcx"],
    &["application/json"],
    &["application/proto"],
    &["application/connect+proto"],
    &["text/plain"],
    &["application/x-www-form-urlencoded"],
];

const HTTP_METHODS: [&str; 5] = ["POST", "GET", "HEAD", "PUT", "OPTIONS"];

/// A server with a run that goes on, and a command that leaves a trace.
fn serving() -> (Server, Live) {
    let site = Site::new();
    site.command("leave", "echo ran >> \"$SCRIPT_ROOT/../ran\"");
    site.command("wait", "echo ready; exec sleep 1000");
    site.settings("metrics_listen: \"127.0.0.1:0\"");
    let server = site.start();
    let mut live = server.api().start(on("wait", "n1")).unwrap();
    live.wait_for("n1", "ready\n");
    (server, live)
}

/// The one message of a request to a method, framed as gRPC does.
fn body(method: &str, run_id: &str) -> Vec<u8> {
    let run_id = run_id.to_owned();
    let message = match method.rsplit('/').next().unwrap() {
        "RunCommand" => on("leave", "n1").encode_to_vec(),
        "PlanRun" => PlanRunRequest {
            command: "leave".into(),
            nodes: "n1".into(),
            ..PlanRunRequest::default()
        }
        .encode_to_vec(),
        "WatchRun" => WatchRunRequest {
            run_id,
            after_sequence: 0,
        }
        .encode_to_vec(),
        "GetRun" => GetRunRequest {
            run_id,
            ..GetRunRequest::default()
        }
        .encode_to_vec(),
        "CancelRun" => CancelRunRequest {
            run_id,
            ..CancelRunRequest::default()
        }
        .encode_to_vec(),
        "ServerReflectionInfo" => LIST_SERVICES.to_vec(),
        _ => Vec::new(),
    };
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, &message].concat()
}

fn headers<'a>(types: &[&'a str]) -> Vec<(&'static str, &'a str)> {
    let types = types.iter().map(|media_type| ("content-type", *media_type));
    [("te", "trailers")].into_iter().chain(types).collect()
}

/// The runs on record, the newest first.
fn outcomes(api: &Api) -> Vec<Outcome> {
    let runs = api.list_runs(ListRunsRequest::default()).unwrap().runs;
    runs.iter().map(action_proto::v1::Run::outcome).collect()
}

/// Sends every method every combination, below a path and to whoever `api` is connected to.
fn nothing_but_grpc_starts_anything(server: &Server, live: &Live, api: &Api, prefix: &str) {
    let audited = server.audit().len();
    let methods = all_methods();
    let send = |method: &str, http: &str, types: &[&str]| {
        let path = format!("{prefix}{method}");
        api.http(http, &path, &headers(types), &body(method, &live.id))
    };
    for method in &methods {
        for http in HTTP_METHODS {
            let good = TYPES.each_ref().map(std::slice::from_ref);
            let types = OTHER_TYPES.into_iter().chain(good);
            for types in types.filter(|types| http != "POST" || OTHER_TYPES.contains(types)) {
                let answer = send(method, http, types);
                let what = format!("{http} {method} {types:?}: {answer:?}");
                let expected = match http {
                    "POST" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    _ => StatusCode::METHOD_NOT_ALLOWED,
                };
                // nginx answers itself what it finds malformed.
                let by_nginx = !prefix.is_empty() && answer.status() == StatusCode::BAD_REQUEST;
                assert!(answer.status() == expected || by_nginx, "{what}");
                if answer.status() == StatusCode::METHOD_NOT_ALLOWED {
                    assert_eq!(answer.headers()["allow"], "POST", "{what}");
                }
            }
        }
    }
    let direct = server.api();
    assert_eq!(outcomes(&direct), [Outcome::Unspecified], "one run goes on");
    assert_eq!(server.audit().len(), audited, "{:?}", server.audit());
    assert!(!server.has("ran"));
    for (code, least) in [("http_405", 4 * 16), ("http_415", 10)] {
        let line = format!(r#"action_calls_total{{code="{code}",method="RunCommand"}}"#);
        assert!(server.scrape().count(&line) >= f64::from(least), "{code}");
    }
    for method in &methods {
        for media_type in TYPES {
            let answer = send(method, "POST", &[media_type]);
            let what = format!("{method} {media_type:?}: {answer:?}");
            assert_eq!(answer.status(), StatusCode::OK, "{what}");
            assert_eq!(answer.headers()["content-type"], GRPC, "{what}");
            assert!(!answer.headers().contains_key("grpc-status"), "{what}");
        }
    }
    wait_until("the runs to end", CEILING, || {
        let outcomes = outcomes(&direct);
        assert_eq!(outcomes.len(), 1 + TYPES.len());
        (!outcomes.contains(&Outcome::Unspecified)).then_some(())
    });
    assert_eq!(server.read("ran").lines().count(), TYPES.len());
}

#[test]
fn directly() {
    let (server, live) = serving();
    nothing_but_grpc_starts_anything(&server, &live, &server.api(), "");
}

#[test]
fn through_nginx() {
    let (server, live) = serving();
    let plain = [(" ssl http2;", " http2;")];
    let nginx = Front::start(Kind::Nginx, &server, &plain, "");
    let api = Api::connect(nginx.address(), Some(&server.token()));
    nothing_but_grpc_starts_anything(&server, &live, &api, "/action");
}

/// Calls RunCommand with curl: what it shows, with the HTTP status as the last line.
fn curl(server: &Server, url: &str, words: &[&str]) -> Ran {
    server.write("message", body(RUN, ""));
    let mut curl = hermetic("curl", &server.path("home"));
    curl.args(["--silent", "--show-error", "--max-time", "60"]);
    curl.args(["--write-out", "\n%{http_code}\n", "--header"]);
    curl.arg(format!("authorization: Bearer {}", server.token()));
    curl.args(words).arg(format!("{url}{RUN}"));
    run(curl)
}

#[test]
fn curl_is_told_what_is_missing() {
    let (server, _live) = serving();
    let message = format!("@{}", server.path("message").display());
    let url = format!("http://{}", server.address());
    let post = ["--http2-prior-knowledge", "--data-binary", &message];
    let words = [&post[..], &["--header", "content-type: text/plain"]];
    for (words, code, text) in [
        (&["--http2-prior-knowledge"][..], "405", "takes POST only"),
        (&post, "415", "content-type must be application/grpc"),
        (&words.concat(), "415", "must be application/grpc"),
    ] {
        let ran = curl(&server, &url, words).ok();
        assert!(ran.stdout().contains(text), "{ran}");
        assert!(ran.stdout().ends_with(&format!("\n{code}\n")), "{ran}");
    }
    assert_eq!(outcomes(&server.api()), [Outcome::Unspecified]);
    let words = [&post[..], &["--header", "content-type: application/grpc"]];
    let ran = curl(&server, &url, &words.concat()).ok();
    assert!(ran.stdout.ends_with(b"\n200\n"), "{ran}");
    assert_eq!(outcomes(&server.api()).len(), 2);
}

/// HTTP/1.1 has no trailers for most callers: the status of the call does not reach them.
#[test]
fn web_servers_take_no_http_1() {
    for kind in [Kind::Nginx, Kind::Apache] {
        let (server, _live) = serving();
        let front = Front::start(kind, &server, &[], "");
        let message = format!("@{}", server.path("message").display());
        let authority = front.authority();
        let post = [
            "--cacert",
            authority.to_str().unwrap(),
            "--data-binary",
            &message,
            "--header",
            "content-type: application/grpc",
        ];
        for version in ["--http1.1", "--http1.0", "--no-alpn"] {
            let words = [&post[..], &[version]].concat();
            let ran = curl(&server, &front.url(), &words);
            let code = ran.stdout().lines().last().unwrap_or_default().to_owned();
            assert_ne!(code, "200", "{kind:?} {version} {ran}");
            let started = outcomes(&server.api());
            assert_eq!(started, [Outcome::Unspecified], "{kind:?} {version} {ran}");
        }
        let ran = curl(&server, &front.url(), &[&post[..], &["--http2"]].concat()).ok();
        assert!(ran.stdout.ends_with(b"\n200\n"), "{kind:?} {ran}");
        assert_eq!(outcomes(&server.api()).len(), 2, "{kind:?}");
    }
}
