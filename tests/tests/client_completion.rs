//! Completion: what the scripts of shells are given, with and without a server.

use std::time::{Duration, Instant};

use action_tests::{CEILING, Client, Server, Site, wait_until};

const NODES: &str = "
__groups__: {compute: 'cnode[01-02]'}
cnode01: {}
cnode02: {}
login1: {}
";

fn serving(nodes: &str) -> (Server, Client) {
    let site = Site::new();
    site.nodes(nodes);
    site.command("power-off", "");
    site.command("power-on", "");
    let server = site.start();
    let client = server.client();
    (server, client)
}

fn completed(client: &Client, words: &[&str]) -> String {
    let ran = client.run(&[&["__complete", "bash"], words].concat()).ok();
    assert_eq!(ran.stderr(), "");
    ran.stdout()
}

/// Waits until completion has asked the server, which it does in the background.
fn informed(client: &Client) {
    let word = ["nodes", "-g", ""];
    wait_until("the nodes to be known", CEILING, || {
        completed(client, &word).contains("cnode01").then_some(())
    });
}

#[test]
fn what_the_server_has_is_completed_once_it_was_asked() {
    let (server, client) = serving(NODES);
    let first = completed(&client, &["r"]);
    assert_eq!(
        first, "rerun\nrun\nruns\n",
        "what needs no server is there at once"
    );
    informed(&client);
    assert_eq!(completed(&client, &["po"]), "power-off\npower-on\n");
    assert_eq!(
        completed(&client, &["power-on", "-g", "login1,c"]),
        "login1,cnode01\nlogin1,cnode02\n"
    );
    assert_eq!(
        completed(&client, &["power-on", "-g", "cnode[0"]),
        "cnode[01\ncnode[02\n"
    );
    assert_eq!(completed(&client, &["nodes", "-g", "@"]), "@compute\n@*\n");
    let power = client.clone().called("power");
    assert_eq!(completed(&power, &["o"]), "off\non\n");
    // A run is known as soon as it was started.
    _ = client.run(&["power-off", "cnode01"]).ok();
    assert_eq!(completed(&client, &["show", ""]).lines().count(), 1);
    // The server is gone, and what it had is known still.
    let site = server.stop();
    assert_eq!(completed(&client, &["power-off", "lo"]), "login1\n");
    let help = client.run(&["--help"]);
    assert_eq!(help.code(), 0);
    assert!(help.stdout().contains("\n  power-off  a test\n"), "{help}");
    assert!(
        help.stderr()
            .contains("the server is away, and these are its commands of"),
        "{help}"
    );
    assert_eq!(client.run(&["help"]).code(), 255);
    assert_eq!(client.run(&["help", "power-on"]).code(), 255);
    drop(site);
}

#[test]
fn without_a_server_what_is_known_here_is_offered_at_once() {
    let site = Site::new();
    // Nobody answers there: the packets of that network go nowhere.
    let client = Client::new(&site);
    site.write(
        "client.yaml",
        "base_url: https://192.0.2.1\njwt_token: abc\n",
    );
    let begun = Instant::now();
    assert_eq!(completed(&client, &["sh"]), "show\n");
    assert_eq!(completed(&client, &["power-off", ""]), "");
    let took = begun.elapsed();
    assert!(
        took < Duration::from_secs(3),
        "{took:?}, though nobody answers"
    );
    let nobody = Client::without_configuration(&site);
    assert_eq!(completed(&nobody, &["att"]), "attach\n");
}

/// Runs a line through the script for bash as bash does at a TAB.
const TAB: &str = r#"
source <("$0" completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:@'
IFS=$'\n' read -r -d '' -a COMP_WORDS <<< "$2"
COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
_action_client "$0" 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_puts_in_what_is_behind_its_last_split() {
    let (server, client) = serving(NODES);
    informed(&client);
    let tab = |line: &str, words: &[&str]| {
        let mut bash = std::process::Command::new("/bin/bash");
        bash.args(["--norc", "-c", TAB])
            .arg(server.path("bin/action-client"));
        bash.arg(line).arg(words.join("\n")).env_clear();
        bash.env("PATH", action_tests::program::PATH)
            .env("HOME", server.path("home"));
        bash.env("ACTION_CLIENT_CONFIG", server.path("client.yaml"));
        action_tests::program::run(bash).stdout()
    };
    assert_eq!(
        tab("action-client power-of", &["action-client", "power-of"]),
        "power-off\n"
    );
    let set = "action-client power-off -g login1,c";
    let words = ["action-client", "power-off", "-g", "login1,c"];
    assert_eq!(tab(set, &words), "login1,cnode01\nlogin1,cnode02\n");
    // Here bash has split the word.
    let split = ["action-client", "power-off", "--nodes", "=", "l"];
    assert_eq!(tab("action-client power-off --nodes=l", &split), "login1\n");
    let split = ["action-client", "nodes", "-g", "login1,", "@", "c"];
    assert_eq!(tab("action-client nodes -g login1,@c", &split), "compute\n");
}

#[test]
fn ten_thousand_nodes_do_not_keep_anyone_waiting() {
    let nodes: String = (0..10_000)
        .map(|number| format!("node{number:05}: {{}}\n"))
        .collect();
    let (_server, client) = serving(&format!("cnode01: {{}}\n{nodes}"));
    informed(&client);
    let begun = Instant::now();
    let found = completed(&client, &["power-off", "-g", "node00001,node0"]);
    println!("completion among 10,000 nodes: {:?}", begun.elapsed());
    assert_eq!(found.lines().count(), 10_000);
}
