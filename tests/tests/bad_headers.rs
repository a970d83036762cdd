//! Bad input: the header that holds the token, and tokens that are put elsewhere. One answer for
//! all of them, for a unary and a streaming call.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicU16, Ordering},
};

use action_proto::v1::ListNodesRequest;
use action_tests::{Api, Server, Site, on, token};
use prost::Message;
use tonic::{Code, Status};

const RUN_COMMAND: &str = "/action.v1.ActionService/RunCommand";

fn serving() -> Server {
    let site = Site::new();
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"; echo hello");
    site.start()
}

/// What a unary and a streaming call come to with these headers.
fn answers(server: &Server, headers: &[(&str, &[u8])]) -> [Result<(), Status>; 2] {
    // From another address each time: who sends many bad tokens from one waits for the answers.
    static LAST: AtomicU16 = AtomicU16::new(0);
    let [high, low] = (1 + LAST.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
    let own = IpAddr::from([127, 1, high, low]);
    let api = Api::connect_from(Some(own), server.address(), None);
    let api = headers
        .iter()
        .fold(api, |api, (name, value)| api.with_header(name, value));
    [
        api.list_nodes(ListNodesRequest::default()).map(drop),
        api.raw(RUN_COMMAND, &on("hello", "n1").encode_to_vec())
            .map(drop),
    ]
}

#[track_caller]
fn are_refused(server: &Server, headers: &[(&str, &[u8])]) {
    for answer in answers(server, headers) {
        let status = answer.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
        assert_eq!(status.message(), "a valid token is needed");
    }
    assert!(!server.has("ran"), "the script was run");
    assert_eq!(
        server.api().node_names(),
        ["n1"],
        "honest callers are served"
    );
}

#[test]
fn what_is_no_single_bearer_token() {
    let server = serving();
    let good = server.token();
    for value in [
        String::new(),
        "Bearer".into(),
        "Bearer ".into(),
        "Basic x".into(),
        good.clone(),
        format!("Basic {good}"),
        format!("Bearer\t{good}"),
        format!("Bearer  {good}"),
        format!("Bearer {good}, Bearer {good}"),
        format!("Bearer {good},{good}"),
        format!("Bearer {good} x"),
        format!("Bearer {good}\u{e9}"),
        format!("Bearer {}", "a".repeat(8 * 1024 + 1)),
    ] {
        are_refused(&server, &[("authorization", value.as_bytes())]);
    }
    are_refused(&server, &[("authorization", b"Bearer \xff\xfe")]);
}

#[test]
fn two_are_one_too_many_whichever_is_good() {
    let server = serving();
    let good = format!("Bearer {}", server.token());
    for other in [good.as_bytes(), b"Bearer x", b""] {
        let (one, two) = (("authorization", good.as_bytes()), ("authorization", other));
        are_refused(&server, &[one, two]);
        are_refused(&server, &[two, one]);
    }
}

#[test]
fn a_token_anywhere_else_is_none() {
    let server = serving();
    let good = server.token();
    let bearer = format!("Bearer {good}");
    for name in [
        "authorization-bin",
        "x-authorization",
        "proxy-authorization",
        "token",
        "jwt",
        "cookie",
    ] {
        are_refused(&server, &[(name, bearer.as_bytes())]);
        are_refused(&server, &[(name, good.as_bytes())]);
    }
}

#[test]
fn the_scheme_s_case_does_not_matter() {
    let server = serving();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let value = format!("{scheme} {}", server.token());
        for answer in answers(&server, &[("authorization", value.as_bytes())]) {
            answer.unwrap();
        }
    }
}

#[test]
fn headers_beyond_all_reason_harm_nobody() {
    let server = serving();
    let good = format!("Bearer {}", server.token());
    for size in [17 * 1024, 80 * 1024] {
        let long = "x".repeat(size);
        let headers = [
            ("authorization", good.as_bytes()),
            ("x-long", long.as_bytes()),
        ];
        for answer in answers(&server, &headers) {
            assert!(answer.is_err(), "longer than any header may be");
        }
    }
    assert!(!server.has("ran"));
    assert_eq!(server.api().node_names(), ["n1"]);
}

/// Good claims, as text.
fn claims() -> String {
    token::claims().to_string()
}

#[test]
fn heads_and_claims_that_no_token_has() {
    let server = serving();
    let secret = server.secret();
    let now = token::now();
    let key = r#""jwk":{"kty":"oct","k":"AAAA"},"jku":"http://127.0.0.1:1/k","x5u":"http://127.0.0.1:1/c""#;
    let deep = format!("{}{}", "[".repeat(1_500), "]".repeat(1_500));
    let good_head = r#"{"alg":"HS256","typ":"JWT"}"#;
    let with = |claim: &str, value: &str| {
        let all = claims();
        format!("{{\"{claim}\":{value},{}", &all[1..])
    };
    let mut tokens = Vec::new();
    for head in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"nOnE"}"#,
        r#"{"alg":""}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","crit":["x"],"x":1}"#,
        r#"{"alg":"HS256","kid":"../../../dev/null"}"#,
        r#"{"alg":"HS256","kid":"/proc/self/environ"}"#,
        r#"{"alg":"HS256","kid":"'; drop"}"#,
        r#"{"alg":"HS256","kid":"\u0000"}"#,
        r#"{"alg":"HS256","kid":""}"#,
        r#"{"alg":"HS256","kid":"unknown"}"#,
        r#"{"alg":"HS256","kid":5}"#,
        "[]",
        "null",
        "x",
    ] {
        tokens.push(token::with_header(head, &claims(), &secret));
    }
    for claims in [
        "x".to_owned(),
        "[]".into(),
        "5".into(),
        deep,
        with("exp", &(now + 60).to_string()),
        with("sub", "\"bob\""),
        with("roles", "\"admin\""),
        with("commands", "null"),
        with("nodes", "null"),
        claims().replace("\"alice\"", "\"a\\nb\""),
        claims().replace("\"alice\"", "\"\\u001b[31m\""),
        claims().replace("\"alice\"", &format!("\"{}\"", "a".repeat(4_000))),
        claims().replace("\"alice\"", "{}"),
        claims().replace("\"alice\"", "[]"),
        with("nbf", "\"99999999999\""),
        with("aud", "\"somebody\""),
        with("aud", "[\"somebody\"]"),
    ] {
        tokens.push(token::with_header(good_head, &claims, &secret));
    }
    for exp in [
        "\"9999999999\"",
        "null",
        "true",
        "-1",
        "1e300",
        "18446744073709551615",
        &(now + 4000 * 24 * 3600).to_string(),
        &(now - 31).to_string(),
    ] {
        let claims = format!(r#"{{"sub":"alice","iat":{now},"jti":"x","exp":{exp}}}"#);
        tokens.push(token::with_header(good_head, &claims, &secret));
    }
    // A key of the attacker's own in the header is not looked at: neither used nor fetched.
    let head = format!(r#"{{"alg":"HS256",{key}}}"#);
    tokens.push(token::with_header(&head, &claims(), "attacker"));
    for token in &tokens {
        are_refused(
            &server,
            &[("authorization", format!("Bearer {token}").as_bytes())],
        );
    }
    // What the others have but for one thing each is good.
    let good = token::with_header(good_head, &claims(), &secret);
    for answer in answers(
        &server,
        &[("authorization", format!("Bearer {good}").as_bytes())],
    ) {
        answer.unwrap();
    }
}

#[test]
fn a_signature_is_whole_and_written_in_one_way() {
    let server = serving();
    let good = server.token();
    let other = token::with_header("{\"alg\":\"HS256\"}", &claims(), &server.secret());
    let (body, signature) = good.rsplit_once('.').unwrap();
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 32 bytes are 43 characters, of which the last has two bits that say nothing.
    let at = alphabet.find(last).unwrap();
    let twin = alphabet.as_bytes()[at ^ 1] as char;
    let flipped = if signature.starts_with('A') { "B" } else { "A" };
    for token in [
        format!("{body}."),
        body.to_owned(),
        format!("{good}."),
        format!("{good}="),
        format!("{good}.{signature}"),
        format!(".{good}"),
        format!("{body}.{}", &signature[1..]),
        format!("{body}.{flipped}{}", &signature[1..]),
        format!("{body}.{}{twin}", &signature[..42]),
        format!("{body}.{}", other.rsplit_once('.').unwrap().1),
        format!("{}+/", &good[..good.len() - 2]),
    ] {
        are_refused(
            &server,
            &[("authorization", format!("Bearer {token}").as_bytes())],
        );
    }
}
