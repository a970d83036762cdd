//! The example files of the original's documentation, as they stand there.

use std::fs;

use action_tests::{Site, on, program::write_script};

const NODES: &str = "\
node01:
  ranks: [metal]
  ip: 192.168.1.1
cnode01:
  ranks: [aws]
  ec2_id: i-1234567890
  aws_region: eu-west-2
";

const METADATA: &str = "\
help:
  summary: \"Get system usage info\"
  description: >
    This command gets basic system usage information and reports it back
    to the user
";

const DEFAULT: &str = "\
#!/bin/bash
LOAD=\"$(ssh $name 'uptime')\"
echo \"$name load and uptime: $LOAD\"
";

const AWS: &str = "\
#!/bin/bash
LOAD=\"$(ssh $name 'uptime')\"
echo \"$name ($ec2_id) load and uptime: $LOAD\"
";

/// Stands in for ssh: says what it was asked to do.
const SSH: &str = "#!/bin/bash\necho \"$2 of $1\"\n";

fn site() -> Site {
    let site = Site::new();
    site.nodes(NODES);
    site.whole_script("usage/default.sh", DEFAULT);
    site.whole_script("usage/aws.sh", AWS);
    site.write("libexec/usage/metadata.yaml", METADATA);
    fs::create_dir(site.path("stand-ins")).unwrap();
    write_script(&site.path("stand-ins/ssh"), SSH);
    let path = site.path("stand-ins").display().to_string();
    site.settings(&format!("script_environment: {{PATH: '{path}:/bin'}}"));
    site
}

#[test]
fn the_example_nodes_and_the_usage_command_work_as_they_stand() {
    let server = site().start();
    let ran = server
        .client()
        .run(&["run", "usage", "-g", "node01,cnode01"])
        .ok();
    let mut lines: Vec<_> = ran.stdout().lines().map(str::to_owned).collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "cnode01: cnode01 (i-1234567890) load and uptime: uptime of cnode01",
            "node01: node01 load and uptime: uptime of node01",
        ]
    );
}

#[test]
fn nothing_is_wrong_with_them() {
    insta::assert_snapshot!(site().server_verb(&["check"]), @"
    ------- stderr -------
    2 nodes and 1 command can be used; 0 errors, 0 warnings
    ------- exit 0 -------
    ");
}

#[test]
fn a_node_without_ranks_gets_the_default_version() {
    let site = site();
    site.nodes("cnode01: {ec2_id: i-1234567890}\n");
    let run = site.start().api().run(on("usage", "cnode01"));
    assert_eq!(run.start_of("cnode01").script, "usage/default.sh");
}
