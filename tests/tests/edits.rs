//! Edits of all sorts, hundreds of them in a random order while the server runs. What callers see
//! meanwhile is always something that was written whole, and in the end it is what a server sees
//! that starts then.

use std::{
    fs,
    os::unix::fs::symlink,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use action_tests::{Api, CEILING, Chance, Server, Site, on, rounds, wait_until};

/// The nodes of each version of the nodes file: so few that none of the edits is held back.
const NODES: usize = 10;

/// A nodes file: each version has its number in each of its names.
fn nodes(version: u64) -> String {
    (0..NODES)
        .map(|at| format!("v{version}n{at:02}: {{version: {version}}}\n"))
        .collect()
}

/// A command whose summary and answer say which version it is.
fn command(site: &Site, directory: &str, version: u64) {
    let path = site.path(directory);
    fs::create_dir_all(&path).unwrap();
    site.write(
        format!("{directory}/metadata.yaml"),
        format!("help: {{summary: version {version}}}\n"),
    );
    let script = format!("#!/bin/bash\necho {version}\n");
    action_tests::program::write_script(&path.join("default.sh"), script);
}

/// A site whose command directory is a link to a release, as packages make it.
fn site() -> Site {
    let site = Site::new();
    fs::remove_dir(site.path("libexec")).unwrap();
    command(&site, "release.0/alpha", 0);
    symlink("release.0", site.path("libexec")).unwrap();
    site.nodes(&nodes(0));
    site
}

/// One edit. `version` is another one each time.
fn edit(site: &Site, chance: &mut Chance, version: u64) {
    let names = ["alpha", "beta", "gamma"];
    let name = names[usize::try_from(chance.below(3)).unwrap()];
    let directory = format!("libexec/{name}");
    match chance.below(9) {
        0 => site.nodes(&nodes(version)),
        1 => {
            site.write("nodes.new", nodes(version));
            fs::rename(site.path("nodes.new"), site.path("nodes.yaml")).unwrap();
        }
        // Two within one tick of the clock.
        2 => {
            site.nodes(&nodes(version + 1_000_000));
            site.nodes(&nodes(version));
        }
        // Gone for a moment.
        3 => {
            _ = fs::remove_file(site.path("nodes.yaml"));
            site.nodes(&nodes(version));
        }
        4 => command(site, &directory, version),
        5 => _ = fs::remove_dir_all(site.path(&directory)),
        // A new directory in the place of the old one.
        6 => {
            command(site, "new", version);
            _ = fs::remove_dir_all(site.path(&directory));
            fs::rename(site.path("new"), site.path(&directory)).unwrap();
        }
        // A new release behind the link.
        7 => {
            let release = format!("release.{version}");
            command(site, &format!("{release}/alpha"), version);
            symlink(&release, site.path("libexec.new")).unwrap();
            fs::rename(site.path("libexec.new"), site.path("libexec")).unwrap();
        }
        // What editors leave beside a file.
        _ => {
            for name in [
                "nodes.yaml~",
                ".nodes.yaml.swp",
                "libexec/alpha/.default.sh.swp",
                "libexec/4913",
            ] {
                _ = fs::write(site.path(name), "garbage: [\n");
            }
            for name in ["libexec/4913", ".nodes.yaml.swp"] {
                _ = fs::remove_file(site.path(name));
            }
        }
    }
}

/// What callers see of the nodes: all of one version.
#[track_caller]
fn seen_whole(api: &Api) {
    let names = api.node_names();
    let version = |name: &String| name.split_once('n').unwrap().0.to_owned();
    let first = version(&names[0]);
    assert!(
        names.len() == NODES && names.iter().all(|name| version(name) == first),
        "{names:?}"
    );
}

/// All that callers see.
fn seen(server: &Server) -> Vec<String> {
    let api = server.api();
    let list = api.list_commands(Default::default()).unwrap();
    let commands = list
        .commands
        .into_iter()
        .map(|it| format!("{}: {}", it.name, it.summary));
    commands.chain(api.node_names()).collect()
}

#[test]
fn hundreds_of_random_edits_end_as_a_fresh_start_does() {
    let server = site().start();
    let mut chance = Chance::new();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            let api = server.api();
            let mut looks = 0_u64;
            while !over.load(Ordering::Acquire) {
                seen_whole(&api);
                looks += 1;
            }
            looks
        });
        for version in 1..=rounds(400) {
            edit(&server, &mut chance, version);
            if version % 40 == 0 {
                // Now and then it is let come to rest, so that there is more than one end.
                ends_as_a_fresh_start(&server);
            }
        }
        over.store(true, Ordering::Release);
        assert!(watching.join().unwrap() > 10);
    });
    command(&server, "libexec/alpha", 7);
    ends_as_a_fresh_start(&server);
    let node = server.api().node_names().remove(0);
    wait_until("the last edit", CEILING, || {
        let run = server.api().run(on("alpha", &node));
        (run.stdout_of(&node) == b"7\n").then_some(())
    });
}

/// A fresh server on the same files, and the old one sees what it sees.
#[track_caller]
fn ends_as_a_fresh_start(server: &Server) {
    let fresh = Site::new();
    for (from, to) in [("nodes.yaml", "nodes.yaml"), ("libexec", "libexec")] {
        let to = fresh.path(to);
        _ = fs::remove_dir_all(&to);
        _ = fs::remove_file(&to);
        symlink(server.path(from), to).unwrap();
    }
    let expected = seen(&fresh.start());
    wait_until("what a fresh start sees", CEILING, || {
        (seen(server) == expected).then_some(())
    });
}
