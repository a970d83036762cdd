//! Bad input: node sets. Each is a clear error at once, and nothing is run.

use std::time::Instant;

use action_proto::v1::PlanRunRequest;
use action_tests::{Chance, Server, Site, on, program::AT_ONCE, rounds, usage};
use tonic::Code;

fn serving() -> Server {
    let site = Site::new();
    site.nodes("n1: {aws_region: x}\nn2:\n__groups__: {all: 'n[1-2]'}\n");
    site.command("hello", "touch \"$SCRIPT_ROOT/../ran\"; echo hello");
    site.command_with(
        "once",
        "help: {summary: s, has_context: false}",
        "touch \"$SCRIPT_ROOT/../ran\"",
    );
    site.start()
}

#[track_caller]
fn is_refused(sets: &[(&str, &str)]) {
    let server = serving();
    let api = server.api();
    for (set, reason) in sets {
        let began = Instant::now();
        let (code, text) = api.refused(on("hello", set));
        assert_eq!(code, Code::InvalidArgument, "{set}: {text}");
        assert!(text.contains(reason), "{set}: {text}");
        assert!(began.elapsed() < AT_ONCE, "{set}");
    }
    assert!(!server.has("ran"));
    assert_eq!(api.run(on("hello", "n1")).answer_of("n1"), "hello\n");
}

#[test]
fn a_set_of_more_nodes_than_there_could_be() {
    let limit = "more than the limit of 10000 (limits.nodes)";
    is_refused(&[
        ("n[1-9999999999]", limit),
        ("n[1-100000]", limit),
        ("n[1-999]x[1-999]", limit),
        ("n[1-99]x[1-99]y[1-99]z[1-99]", limit),
        ("n1,n[0-99999999]", limit),
        ("n[1-4294967295]!n[2-4294967295]", limit),
        ("n[1-99999999999999999999999999]", limit),
        ("@n[1-99999]", limit),
        ("n[1-18446744073709551615]", limit),
    ]);
}

#[test]
fn a_set_that_is_cut_off() {
    is_refused(&[
        ("n[1", "[ without ]"),
        ("n[1-", "[ without ]"),
        ("n1]", "] without ["),
        ("n[]", "a number is missing between the brackets"),
        ("n[1-2-3]", "\"2-3\" is not a number"),
        ("n[2-1]", "2-1: the smaller number comes first"),
        ("n[a-b]", "\"a\" is not a number"),
        ("n[[1-2]]", "\"[1\" is not a number"),
        ("n[1-2/0]", "1-2/0: the step must be 1 or more"),
        ("n[1-010]", "pad both numbers alike: write 001-010 or 1-10"),
        ("n[0-1][1-2]", "two brackets form one number"),
        (
            "n2[10-320]",
            "after a digit all numbers need the same number of digits",
        ),
        (
            "n1,n[-5]*",
            "\"n[-5]*\": -5: a range needs a number on each side of the -",
        ),
        ("n1,,n2", "an operator needs a node set on each side"),
        ("n1!", "an operator needs a node set on each side"),
        ("&n1", "an operator needs a node set on each side"),
    ]);
}

#[test]
fn a_set_that_names_what_is_not_there() {
    is_refused(&[
        ("n9", "no such node: n9"),
        ("n1,n[5-9],x", "no such node: n[5-9],x"),
        ("@nobody", "no such group: @nobody"),
        ("@ALL", "no such group: @ALL"),
        ("@b[1-2],@b1", "no such group: @b[1-2]"),
        ("n9,n9 n9", "no such node: n9"),
        ("x*,n[8-9]*,n9,x*", "no such node: n9,n[8-9]*,x*"),
        ("x*", "no such node: x*"),
        ("rank=gpu", "gpu"),
        ("aws_region=x", "visible_metadata"),
        ("N1", "no such node: N1"),
        ("n1/../n2", ""),
        ("-n1", ""),
        ("n1;id", ""),
        ("$(id)", ""),
        ("@nodes:cluster", ""),
        ("@source:all", ""),
    ]);
}

#[test]
fn a_node_that_is_named_twice_runs_once() {
    let server = serving();
    let run = server.api().run(on("hello", "n2,n1,n[1-2],@all,n1"));
    assert_eq!(run.nodes(), ["n1", "n2"]);
}

#[test]
fn an_empty_set_is_never_all() {
    is_refused(&[
        ("", "the node set is empty"),
        ("   ", "the node set is empty"),
        ("n1!n1", "selects no node"),
        ("n1&n2", "selects no node"),
        ("@all!@*", "selects no node"),
    ]);
}

#[test]
fn a_set_that_is_too_long_to_be_meant() {
    let long = vec!["n1"; 100_000].join(",");
    is_refused(&[(&long, "bytes, more than")]);
}

#[test]
fn nodes_for_a_command_that_takes_none() {
    let server = serving();
    let (code, text) = server.api().refused(on("once", "n1"));
    assert_eq!(
        (code, text.as_str()),
        (Code::InvalidArgument, "the command once takes no nodes")
    );
    assert!(!server.has("ran"));
}

#[test]
fn a_set_with_names_that_are_longer_than_any() {
    let reason = "longer than any name can be";
    is_refused(&[
        (
            &format!("n[{}1-9999]", "0".repeat(15_000)),
            "a number has at most 38 digits",
        ),
        (&format!("n[{}1]{}", "0".repeat(37), "x".repeat(64)), reason),
        (&format!("{}[1-9999]", "n".repeat(15_000)), reason),
        (&format!("n[1-9999]{}", "n".repeat(15_000)), reason),
        (&format!("@n[1-9999]{}", "0".repeat(64)), reason),
    ]);
}

#[test]
fn a_set_with_more_to_look_for_than_anybody_needs() {
    let reason = "groups, patterns and attributes, more than 64";
    let many = |term: &str| vec![term; 65].join(",");
    is_refused(&[
        (&many("@*"), reason),
        (&many("n*"), reason),
        (&many("@all"), reason),
        (&many("rank=aws"), reason),
    ]);
}

/// What one of the sets below may take of processors' time, in ticks of a hundredth of a second: a
/// build that is not optimized takes some 200, and one that tries everything takes hours.
const MOMENT: u64 = 1500;

/// As long as texts may be, on as many nodes as there may be: every shape that makes a matcher try
/// again and again.
#[test]
fn no_pattern_costs_more_than_a_moment() {
    let site = Site::new();
    let nodes = (0..10_000).map(|at| {
        let (rack, slot) = (at / 64, at % 64);
        format!(
            "rack{rack}-aaaaaa{slot:02}-ib{}: {{rack: rack{rack:04}}}\n",
            at % 2
        )
    });
    site.nodes(&nodes.collect::<String>());
    site.settings("visible_metadata: [rack]");
    site.command("hello", "");
    let server = site.start();
    let api = server.api();
    let list = |pieces: &mut dyn Iterator<Item = String>| pieces.collect::<Vec<_>>().join(",");
    let searches = |term: &str| vec![term; 16].join(",");
    let sets = [
        searches("*[1-10000]*"),
        searches(&format!("*{}b", "?a".repeat(60))),
        searches(&format!("*{}", "*a".repeat(100))),
        searches(&format!("{}x", "*[0-9999]".repeat(20))),
        searches(&format!("rack={}x", "*[0-9999]?".repeat(20))),
        searches("rack[0-99]*!rack[0-999]*"),
        format!("*{}b", "a".repeat(16_000)),
        format!("*{}b", "*a".repeat(8_000)),
        format!("*{}*", "?".repeat(16_000)),
        "?*".repeat(8_000),
        format!(
            "*[{}]x",
            list(&mut (0..3_000).map(|at| (at * 2).to_string()))
        ),
        format!(
            "*[{}]x",
            list(&mut (2..1_500).map(|at| format!("0-{}/{at}", at * 2)))
        ),
        format!(
            "*[{}]x",
            list(&mut (0..400).map(|_| format!("0-{}", "9".repeat(38))))
        ),
        "*[0-9999]x".repeat(1_600),
        "rack[0-99]-a,".repeat(1_200) + "n",
    ];
    for set in sets {
        let began = usage::ticks(server.id());
        let request = PlanRunRequest {
            command: "hello".into(),
            nodes: set.clone(),
            ..Default::default()
        };
        _ = api.plan(request);
        let spent = usage::ticks(server.id()) - began;
        assert!(spent < MOMENT, "{spent} ticks: {}", &set[..30]);
    }
}

/// Random sets of brackets, zeroes, ranges and operators, all as long as they may be: none costs
/// more than a moment's memory.
#[test]
fn no_set_costs_more_memory_than_its_nodes() {
    let server = serving();
    let api = server.api();
    let plan = |set: String| {
        let request = PlanRunRequest {
            command: "hello".into(),
            nodes: set,
            ..Default::default()
        };
        _ = api.plan(request);
    };
    plan("n[1-2]".into());
    let before = usage::memory(server.id(), "VmRSS");
    usage::forget_peak(server.id());
    let mut chance = Chance::new();
    let zeroes = "0".repeat(3000);
    let pieces = [
        "n",
        "[",
        "]",
        ",",
        "-",
        "/",
        "!",
        "&",
        "^",
        "@",
        "*",
        "=",
        "1",
        "9999",
        "10000",
        "99999999999999999999",
        "n[1-9999]",
        "n[1-99]x[1-99]",
        "[0-9]",
        &zeroes,
        "@*",
        "rank=",
        " ",
    ];
    for _ in 0..rounds(600) {
        let mut set = String::new();
        while set.len() < 16_000 && chance.below(200) > 0 {
            set += pieces[usize::try_from(chance.below(pieces.len() as u64)).unwrap()];
        }
        plan(set);
    }
    for set in ["n[1-9999],", "n[1-9999]x,", "@n[1-9999],"] {
        plan(set.repeat(16_000 / set.len()));
    }
    let peak = usage::memory(server.id(), "VmHWM");
    assert!(
        peak < before + 24 * 1024,
        "{before} KiB before, peak {peak} KiB"
    );
}
