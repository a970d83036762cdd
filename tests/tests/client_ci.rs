//! The script of `docs/ci-example.md`, as it stands there.

use action_tests::{Site, program};

#[test]
fn the_script_of_the_docs_fails_the_build_on_the_right_node() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ci-example.md");
    let page = std::fs::read_to_string(page).unwrap();
    let script = page
        .split("```bash\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let site = Site::new();
    site.nodes("n1: {}\nn2: {}\nn3: {}\n");
    site.command(
        "deploy",
        "echo deploying $1; [[ $name != n2 ]] || { echo no space; exit 4; }",
    );
    let server = site.start();
    _ = server.client();
    program::write_script(&server.path("ci-run"), script);
    let ci = |words: &[&str]| {
        let mut command = program::hermetic(server.path("ci-run"), &server.path("home"));
        let path = format!("{}:{}", server.path("bin").display(), program::PATH);
        command.args(words).env("PATH", path);
        command.env("ACTION_CLIENT_CONFIG", server.path("client.yaml"));
        program::run(command)
    };
    insta::assert_snapshot!(ci(&["n[1-3]", "deploy", "v2"]), @r"
    n2: failed with 4
        deploying v2
        no space
    ------- stderr -------
    ------- exit 4 -------
    ");
    insta::assert_snapshot!(ci(&["n1,n3", "deploy", "v2"]), @r"
    ------- stderr -------
    ------- exit 0 -------
    ");
    insta::assert_snapshot!(ci(&["n[1-4]", "deploy", "v2"]), @r#"
    ------- stderr -------
    {"event":"error","message":"no such node: n4","caused_by":[],"hints":["`action-client nodes` lists the nodes"]}
    ------- exit 255 -------
    "#);
}
