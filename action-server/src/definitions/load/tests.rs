//! Definitions as nobody meant them: what is wrong is named, and nothing of it reaches a script.

use proptest::prelude::*;

use super::*;
use crate::corruption;

const NODES: &str = "\u{feff}__groups__: {all: 'n[1-3]', few: [n1, \"@all\"]}
__meta__: {x: &base {ranks: [metal, default], IP: 010}}
n1:
  <<: *base
  __secret__: {PASSWORD: hunter2}
n2: {<<: *base, IP: yes}
n3:
  note: >
    two
    lines
";
const METADATA: &str = "help:
  summary: \"One line\"
  description: >
    More
  syntax: NAME [TYPE]
confirmation: Sure?
timeout: 90s
fanout: 3
output_limit: 1KiB
exit_codes: {123: {state: 'OFF'}}
";
const WORDS: &[&str] = &[
    "n1",
    "n2",
    ": ",
    "\n",
    "\n  ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "&a ",
    "*a",
    "<<: ",
    "? ",
    "'",
    "\"",
    "|\n",
    ">\n",
    "!x ",
    "__groups__: ",
    "__secret__: ",
    "ranks: ",
    "help: ",
    "summary: ",
    "timeout: ",
    "exit_codes: ",
    "1",
    "\0",
    "\r",
    "\t",
    "---\n",
    "...\n",
    "\u{feff}",
    "\u{85}",
    "~",
    "# ",
    "n[1-9]",
    "@all",
];

struct Fixture {
    directory: tempfile::TempDir,
    sources: DefinitionSources,
}

impl Fixture {
    fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let script = path("commands/c/default.sh");
        fs::create_dir_all(path("commands/c")).unwrap();
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&script, mode).unwrap();
        let sources = DefinitionSources {
            nodes: path("nodes.yaml"),
            commands: path("commands"),
            state: path("state"),
            visible_metadata: ["IP".to_owned()].into(),
            node_limit: 100,
            trust: Trust::Lax,
        };
        Fixture { directory, sources }
    }

    fn load(
        &self,
        nodes: &[u8],
        metadata: &[u8],
        before: Option<&Catalogue>,
    ) -> Result<(Catalogue, Vec<Fault>), Fault> {
        fs::write(&self.sources.nodes, nodes).unwrap();
        fs::write(self.sources.commands.join("c/metadata.yaml"), metadata).unwrap();
        let nodes = before.map(|before| &before.nodes);
        let commands = before;
        load_catalogue(&self.sources, PreviousDefinitions { nodes, commands })
    }
}

/// What a catalogue says, in an order that is always the same.
fn said(loaded: &Result<(Catalogue, Vec<Fault>), Fault>) -> String {
    match loaded {
        Err(fault) => fault.to_string(),
        Ok((catalogue, faults)) => {
            let nodes = catalogue.nodes.list();
            let groups: Vec<_> = { nodes.iter() }
                .map(|node| catalogue.nodes.groups_of(node))
                .collect();
            let Catalogue {
                commands, broken, ..
            } = catalogue;
            format!("{nodes:?} {groups:?} {commands:?} {broken:?} {faults:?}")
        }
    }
}

fn check(nodes: &[u8], metadata: &[u8]) {
    let fixture = Fixture::new();
    let loaded = fixture.load(nodes, metadata, None);
    let again = fixture.load(nodes, metadata, None);
    assert_eq!(
        said(&loaded),
        said(&again),
        "the same files, another catalogue"
    );

    let faults = match &loaded {
        Ok((_, faults)) => faults.as_slice(),
        Err(fault) => std::slice::from_ref(fault),
    };
    let lines = nodes.split(|&b| b == b'\n').count() + metadata.split(|&b| b == b'\n').count();
    for fault in faults {
        assert!(fault.file.starts_with(fixture.directory.path()), "{fault}");
        assert!(fault.line <= lines && !fault.reason.is_empty(), "{fault}");
    }
    if let Ok((catalogue, faults)) = &loaded {
        let is_good = catalogue.commands.contains_key("c");
        assert_ne!(is_good, catalogue.broken.contains_key("c"));
        assert!(is_good || faults.iter().any(Fault::is_error));
        for node in catalogue.nodes.list() {
            // A node is found by its name and by nothing that its name could also mean.
            let found = catalogue.nodes.select(&node.name, "", 100).unwrap();
            assert_eq!((found.len(), &found[0].name), (1, &node.name));
            for (key, value) in &node.metadata {
                let fits = !key.is_empty() && !key.contains(['=', '\0']) && !value.contains('\0');
                assert!(fits, "{key:?} {value:?}");
            }
        }
    }

    // An edit takes down nothing that was good before: not as a whole, and no command.
    let good = fixture.load(NODES.as_bytes(), METADATA.as_bytes(), None);
    let (good, faults) = good.unwrap();
    assert_eq!((faults.len(), good.nodes.list().len()), (0, 3));
    let (reloaded, _) = fixture.load(nodes, metadata, Some(&good)).unwrap();
    assert!(reloaded.commands.contains_key("c"));
    if loaded.is_err() {
        assert_eq!(reloaded.nodes.list(), good.nodes.list());
    }
}

proptest! {
    #[test]
    fn no_nodes_file_does_harm(nodes in corruption::file(NODES, WORDS)) {
        check(&nodes, METADATA.as_bytes());
    }

    #[test]
    fn no_metadata_does_harm(metadata in corruption::file(METADATA, WORDS)) {
        check(NODES.as_bytes(), &metadata);
    }
}
