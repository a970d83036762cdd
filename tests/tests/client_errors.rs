//! The client's errors: what went wrong and what can be done about it.

use std::net::TcpListener;

use action_tests::{Client, ClosedPort, Ran, Server, Site};

fn serving() -> Server {
    let site = Site::new();
    site.nodes("cnode01:\ncnode02:\n");
    let metadata = "help: {summary: Change the type, syntax: NAME TYPE}";
    let trace = "touch \"$SCRIPT_ROOT/../ran\"";
    site.command_with("estate-change", metadata, trace);
    site.command("usage", trace);
    site.command_with("once", "help: {summary: s, has_context: false}", trace);
    site.start()
}

#[track_caller]
fn fails(server: &Server, words: &[&str]) -> Ran {
    let ran = server.client().run(words);
    assert!(!server.has("ran"), "{ran}");
    ran
}

#[test]
fn no_configuration() {
    let site = Site::new();
    let client = Client::without_configuration(&site);
    insta::assert_snapshot!(client.run(&["usage", "cnode01"]), @"
    ------- stderr -------
    error: no configuration found: neither --config nor ACTION_CLIENT_CONFIG is given, and there is no SITE/home/.config/action/client.yaml and no /etc/action/client.yaml
    hint: a configuration has two lines, `base_url: https://SERVER` and `jwt_token: TOKEN`
    hint: the server's admin makes a token with `action-server generate-token`; `action-server init DIR` writes a whole client.yaml for a try-out
    ------- exit 255 -------
    ");
}

#[test]
fn a_configuration_that_is_not_there() {
    let site = Site::new();
    let client = Client::without_configuration(&site);
    let client = client.variable("ACTION_CLIENT_CONFIG", site.path("nowhere.yaml"));
    insta::assert_snapshot!(client.run(&["usage", "cnode01"]), @"
    ------- stderr -------
    error: there is no SITE/nowhere.yaml, which ACTION_CLIENT_CONFIG names
    ------- exit 255 -------
    ");
}

#[test]
fn a_configuration_that_is_wrong() {
    let site = Site::new();
    let client = Client::new(&site);
    site.write("client.yaml", "base_url: gateway1\njwt_token: x\n");
    insta::assert_snapshot!(client.run(&["nodes"]), @"
    ------- stderr -------
    error: base_url `gateway1` does not begin with https:// or http:// and a host
    hint: it looks like `https://gateway1/action` or `http://127.0.0.1:6304`
    ------- exit 255 -------
    ");
    site.write("client.yaml", "base_url: http://gateway1\njwt_token: x\n");
    insta::assert_snapshot!(client.run(&["nodes"]), @"
    ------- stderr -------
    error: base_url http://gateway1 would send the token in plain text
    hint: use https://, or reach the server on this host (an ssh tunnel does that)
    ------- exit 255 -------
    ");
    site.write("client.yaml", "base_url: http://127.0.0.1:1\n");
    insta::assert_snapshot!(client.run(&["nodes"]), @"
    ------- stderr -------
    error: SITE/client.yaml gives no token: none of jwt_token, jwt_token_path and jwt_token_command
    hint: ask the server's admin for one, made with `action-server generate-token`
    ------- exit 255 -------
    ");
    site.write("client.yaml", "base_ulr: http://127.0.0.1:1\n");
    insta::assert_snapshot!(client.run(&["nodes"]), @"
    ------- stderr -------
    error: SITE/client.yaml: unknown field `base_ulr`, expected one of `base_url`, `jwt_token`, `jwt_token_path`, `jwt_token_command`, `verify_ssl`, `ca_path`, `timeout`
    ------- exit 255 -------
    ");
}

#[test]
fn no_server() {
    let site = Site::new();
    let closed = ClosedPort::new();
    let address = closed.address();
    let client = Client::new(&site).hide(address.to_string(), "ADDRESS");
    let text = format!("base_url: http://{address}\njwt_token: {}\n", site.token());
    site.write("client.yaml", text);
    insta::assert_snapshot!(client.run(&["run", "usage", "cnode01"]), @"
    ------- stderr -------
    error: cannot reach the server at http://ADDRESS
    caused by: tcp connect error
    caused by: Connection refused (os error 111)
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(client.run(&["nodes"]), @"
    ------- stderr -------
    error: cannot reach the server at http://ADDRESS
    caused by: tcp connect error
    caused by: Connection refused (os error 111)
    ------- exit 255 -------
    ");
}

#[test]
fn a_server_that_is_another() {
    let site = Site::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let talk = std::thread::spawn(move || {
        use std::io::Write;
        let (mut connection, _) = other.accept().unwrap();
        connection.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
    });
    let client = Client::new(&site);
    let text = format!("base_url: http://{address}\njwt_token: {}\n", site.token());
    site.write("client.yaml", text);
    let ran = client.run(&["nodes"]);
    assert_eq!(ran.code(), 255, "{ran}");
    assert!(ran.stderr().starts_with("error: "), "{ran}");
    talk.join().unwrap();
}

#[test]
fn a_bad_token() {
    let server = serving();
    let client = server.client().variable("ACTION_CLIENT_JWT_TOKEN", "a.b.c");
    let ran = client.run(&["usage", "cnode01"]);
    insta::assert_snapshot!(ran, @"
    ------- stderr -------
    error: the server does not accept the token
    hint: it may have expired or been revoked; ask the server's admin for a new one, made with `action-server generate-token`
    ------- exit 255 -------
    ");
    assert!(!server.has("ran"));
}

#[test]
fn an_unknown_command() {
    let server = serving();
    insta::assert_snapshot!(fails(&server, &["run", "usgae", "cnode01"]), @"
    ------- stderr -------
    error: there is no command `usgae`
    hint: did you mean `usage`?
    hint: `action-client help` lists the commands
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(fails(&server, &["estate-chnage", "cnode01"]), @"
    ------- stderr -------
    error: there is no command `estate-chnage`
    hint: did you mean `estate-change` or `estate-list`?
    hint: `action-client help` lists the commands
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(fails(&server, &["../usage", "cnode01"]), @"
    ------- stderr -------
    error: there is no command `../usage`
    hint: did you mean `usage`?
    hint: `action-client help` lists the commands
    ------- exit 64 -------
    ");
}

#[test]
fn an_unknown_node() {
    let server = serving();
    insta::assert_snapshot!(fails(&server, &["usage", "cnode09"]), @"
    ------- stderr -------
    error: no such node: cnode09
    hint: did you mean `cnode01` or `cnode02`?
    hint: `action-client nodes` lists the nodes
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(fails(&server, &["usage", "-g", "cnode[01-05],x"]), @"
    ------- stderr -------
    error: no such node: cnode[03-05],x
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(fails(&server, &["usage", "-g", "cnode[01"]), @r#"
    ------- stderr -------
    error: cannot read the node set "cnode[01": [ without ]
    ------- exit 255 -------
    "#);
    insta::assert_snapshot!(fails(&server, &["usage", "-g", "n[1-9999999999]"]), @"
    ------- stderr -------
    error: the node set names 9999999999 nodes, more than the limit of 10000 (limits.nodes)
    ------- exit 255 -------
    ");
    insta::assert_snapshot!(fails(&server, &["usage", "-g", ""]), @"
    ------- stderr -------
    error: the node set of -g is empty
    hint: a shell variable that is not set gives an empty value
    ------- exit 64 -------
    ");
}

#[test]
fn a_missing_argument() {
    let server = serving();
    insta::assert_snapshot!(fails(&server, &["usage"]), @"
    ------- stderr -------
    error: `usage` needs a node
    hint: usage: action-client usage NODE
    hint: for several nodes: action-client usage -g NODES
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(fails(&server, &["estate-change", "cnode01"]), @"
    ------- stderr -------
    error: `estate-change` needs the argument TYPE
    hint: usage: action-client estate-change NAME TYPE
    hint: for several nodes: action-client estate-change -g NODES TYPE
    ------- exit 64 -------
    ");
    insta::assert_snapshot!(fails(&server, &["estate-change", "-g", "cnode01"]), @"
    ------- stderr -------
    error: `estate-change` needs the argument TYPE
    hint: usage: action-client estate-change NAME TYPE
    hint: for several nodes: action-client estate-change -g NODES TYPE
    ------- exit 64 -------
    ");
}

#[test]
fn nodes_for_a_command_that_takes_none() {
    let server = serving();
    insta::assert_snapshot!(fails(&server, &["once", "-g", "cnode01"]), @"
    ------- stderr -------
    error: `once` takes no nodes, so -g is not for it
    hint: usage: action-client once
    ------- exit 64 -------
    ");
}
