//! Questions about the policy: `can-i` and `explain`.

use super::*;

#[test]
fn can_i_folds_the_answer() {
    let server = site().start();
    let olga = client_of(&server, "olga", &[]);
    insta::assert_snapshot!(olga.run(&["can-i", "power-off", "-g", "n[1-4]"]), @"
    yes  n[2-4] (3)
    no   n1
    by   operators run power, heads are left alone
    ------- stderr -------
    ------- exit 1 -------
    ");
    insta::assert_snapshot!(olga.run(&["can-i", "power-off", "n2"]), @"
    yes  n2 (1)
    by   operators run power
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(olga.run(&["can-i", "ask"]), @"
    yes
    by   everybody may ask
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(olga.run(&["can-i", "power-off", "-g", "n5"]), @"
    no
    ------- stderr -------
    you may not run power-off on all of n5, or not all of it is there; you may on n[2-4]; nothing was run
    ------- exit 1 -------
    ");
    insta::assert_snapshot!(olga.run(&["--output", "json", "can-i", "power-off", "-g", "n[1-2]"]), @r#"
    {"event":"permission","command":"power-off","permitted":false,"nodes":"n2","forbidden_nodes":"n1","rules":["operators run power","heads are left alone"],"requires":[]}
    ------- stderr -------
    ------- exit 1 -------
    "#);
    assert!(!server.has("ran"));
}

#[test]
fn explain_says_who_may_what_and_by_which_rule() {
    let site = site();
    insta::assert_snapshot!(site.server_verb(&["explain", "--subject", "olga"]), @r#"
    SITE/policy.yaml:9: warning: rule "operators run power": nodes that are not defined are left out: gone9
    olga (roles: operators)
      may run power-* (3 commands) on n[1-4],gone9 (4 nodes) (operators run power)
      may not run or cancel everybody's runs of any command on n1 (1 node) (heads are left alone)
      may not run change on all nodes with an argument like "-f" (not by force)
      may run ask (everybody may ask)
      by command, without arguments:
        ask         run it (everybody may ask); see its own runs; cancel its own runs
        change      not even see it
        power-off   run on n[2-4] (operators run power); not run on n1 (heads are left alone); not even see n[5-6]; see its own runs on n[1-4]; cancel its own runs on n[2-4]
        power-on    run on n[2-4] (operators run power); not run on n1 (heads are left alone); not even see n[5-6]; see its own runs on n[1-4]; cancel its own runs on n[2-4]
        power-wait  run on n[2-4] (operators run power); not run on n1 (heads are left alone); not even see n[5-6]; see its own runs on n[1-4]; cancel its own runs on n[2-4]
        secret      not even see it
    ------- stderr -------
    ------- exit 0 -------
    "#);
    let words = [
        "explain",
        "--subject",
        "carol",
        "--command",
        "change",
        "-g",
        "n[1-2]",
        "large",
    ];
    insta::assert_snapshot!(site.server_verb(&words), @r#"
    SITE/policy.yaml:9: warning: rule "operators run power": nodes that are not defined are left out: gone9
    carol
      may not run or cancel everybody's runs of any command on n1 (1 node) (heads are left alone)
      may run change on all nodes with arguments that are each like "small" or "medium-*" (sizes for change)
      may not run change on all nodes with an argument like "-f" (not by force)
      by command, with the arguments ["large"]:
        change  not run on n1 (heads are left alone); not run on n2 (no rule allows it with these arguments); see its own runs; cancel its own runs on n2
    ------- stderr -------
    ------- exit 0 -------
    "#);
    let all = site.server_verb(&["explain"]).ok().stdout();
    for part in [
        "olga (roles: operators)\n",
        "whoever has the role auditor\n",
        "anybody else with a token\n",
        "root\n",
        "subjects like ops-*\n",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let unknown = site.server_verb(&["explain", "--command", "none"]);
    assert_eq!(unknown.code(), 64, "{unknown}");
}
