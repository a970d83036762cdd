//! Metadata reaches scripts exactly as written, under the same name and case.

use std::collections::BTreeMap;

use action_tests::{Site, on};

const NODES: &str = r#"
__meta__: &shared {shared: from an anchor, overridden: no}
n1:
  <<: *shared
  overridden: 'yes'
  octal: 010
  version: 1.10
  hex: 0x1f
  answer: yes
  truth: true
  date: 2020-01-01
  exponent: 1e3
  underscores: 1_000
  nothing:
  tilde: ~
  null_word: null
  empty: ""
  single: 'it''s "so"'
  double: "a\tb\\c"
  shell: $(id) `id` ${HOME} ; rm -rf * && echo
  percent: 100%
  equals: a=b=c
  spaces: "  two  "
  lines: "one\ntwo\n"
  folded: >
    a long
    line
  literal: |
    kept
      as it is
  unicode: żółć ☃ 日本
  CamelCase: Camel
  UPPER: up
  _underscore: u
  list: [1, 010, "x y", yes, ~]
  map: {b: 1.10, a: [x], c: {}}
  __secret__:
    bmc_password: 'p$w"d'
"#;

/// What a script must see, in no order.
const SEEN: [(&str, &str); 32] = [
    ("shared", "from an anchor"),
    ("overridden", "yes"),
    ("octal", "010"),
    ("version", "1.10"),
    ("hex", "0x1f"),
    ("answer", "yes"),
    ("truth", "true"),
    ("date", "2020-01-01"),
    ("exponent", "1e3"),
    ("underscores", "1_000"),
    ("nothing", ""),
    ("tilde", ""),
    ("null_word", ""),
    ("empty", ""),
    ("single", "it's \"so\""),
    ("double", "a\tb\\c"),
    ("shell", "$(id) `id` ${HOME} ; rm -rf * && echo"),
    ("percent", "100%"),
    ("equals", "a=b=c"),
    ("spaces", "  two  "),
    ("lines", "one\ntwo\n"),
    ("folded", "a long line\n"),
    ("literal", "kept\n  as it is\n"),
    ("unicode", "żółć ☃ 日本"),
    ("CamelCase", "Camel"),
    ("UPPER", "up"),
    ("_underscore", "u"),
    ("list", r#"["1","010","x y","yes",null]"#),
    ("map", r#"{"b":"1.10","a":["x"],"c":{}}"#),
    ("name", "n1"),
    ("command", "show"),
    ("request_username", "admin"),
];

fn variables(environment: &[u8]) -> BTreeMap<String, String> {
    let text = std::str::from_utf8(environment).unwrap();
    let variables = text.split_terminator('\0');
    variables
        .map(|variable| variable.split_once('=').unwrap())
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn values_arrive_exactly_as_they_were_written() {
    let site = Site::new();
    site.nodes(NODES);
    site.command("show", "env -0");
    let server = site.start();
    let seen = variables(&server.api().run(on("show", "n1")).stdout_of("n1"));
    for (key, value) in SEEN {
        assert_eq!(seen.get(key).map(String::as_str), Some(value), "{key}");
    }
    assert!(!seen.contains_key("ranks"), "ranks are no metadata");
    assert!(!seen.contains_key("__secret__") && !seen.contains_key("__meta__"));
}

#[test]
fn a_shell_script_reads_them_as_variables() {
    let site = Site::new();
    site.nodes(NODES);
    site.command("show", r#"echo "$shell|$octal|$CamelCase|$camelcase""#);
    let server = site.start();
    assert_eq!(
        server.api().run(on("show", "n1")).answer_of("n1"),
        "$(id) `id` ${HOME} ; rm -rf * && echo|010|Camel|\n"
    );
}

#[test]
fn secret_metadata_reaches_scripts_like_the_rest() {
    let site = Site::new();
    site.nodes(NODES);
    // The value itself would be masked in the output.
    site.command(
        "compare",
        "[[ $bmc_password == 'p$w\"d' ]] && echo the same",
    );
    let server = site.start();
    assert_eq!(
        server.api().run(on("compare", "n1")).answer_of("n1"),
        "the same\n"
    );
}

#[test]
fn one_nodes_metadata_never_reaches_another() {
    let site = Site::new();
    site.nodes("n1: {only_n1: a, both: 1}\nn2: {only_n2: b, both: 2}\nn3:\n");
    site.command("show", "env -0");
    let server = site.start();
    let run = server.api().run(on("show", "@*"));
    let seen = |node| {
        let mut seen = variables(&run.stdout_of(node));
        seen.retain(|key, _| key.starts_with("only") || key == "both");
        seen.into_iter()
            .map(|(key, value)| key + "=" + &value)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(seen("n1"), "both=1 only_n1=a");
    assert_eq!(seen("n2"), "both=2 only_n2=b");
    assert_eq!(seen("n3"), "");
}
