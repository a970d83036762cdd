//! The state directory: whose it must be, and who may not use it.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::Command,
};

use action_tests::{Site, on, program::run};

fn site() -> Site {
    let site = Site::new();
    site.command("hello", "echo hello");
    site
}

#[track_caller]
fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn it_is_made_where_it_is_not_there() {
    let site = site();
    let text = site.read("server.yaml");
    let text = text.replace("state_directory: state", "state_directory: a/b/state");
    site.write("server.yaml", text);
    let server = site.start();
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
    assert_eq!(server.read("a/b/state/version"), "1\n");
}

#[test]
fn it_must_be_the_servers_own_and_closed_to_others() {
    let site = site().start().stop();
    let state = site.path("state");
    for mode in [0o777, 0o750, 0o701] {
        set_mode(&state, mode);
        insta::allow_duplicates! {
            insta::assert_snapshot!(site.refused(), @"
            ------- stderr -------
            error: the state directory SITE/state is open to others; run: chmod 700 SITE/state
            ------- exit 1 -------
            ");
        }
    }
    set_mode(&state, 0o700);
    chown(&state, Some(65534), None).unwrap();
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: the state directory SITE/state belongs to user 65534, not to the server's user
    ------- exit 1 -------
    ");
    chown(&state, Some(0), None).unwrap();
    let server = site.start();
    assert_eq!(
        server.api().run(on("hello", "n1")).answer_of("n1"),
        "hello\n"
    );
}

#[test]
fn one_that_cannot_be_used_is_said_to_be() {
    let site = site();
    fs::remove_dir_all(site.path("state")).unwrap();
    site.write("state", "a file");
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: cannot use the state directory SITE/state/runs: Not a directory (os error 20)
    ------- exit 1 -------
    ");
    fs::remove_file(site.path("state")).unwrap();
    fs::create_dir(site.path("state")).unwrap();
    set_mode(&site.path("state"), 0o700);
    let state = site.path("state");
    let mut mount = Command::new("mount");
    mount
        .args(["-t", "tmpfs", "-o", "ro,mode=700", "none"])
        .arg(&state);
    _ = run(mount).ok();
    let refused = site.refused();
    let mut umount = Command::new("umount");
    umount.arg("-l").arg(&state);
    _ = run(umount).ok();
    insta::assert_snapshot!(refused, @"
    ------- stderr -------
    error: cannot use the state directory SITE/state/runs: Read-only file system (os error 30)
    ------- exit 1 -------
    ");
}

#[test]
fn one_of_a_newer_server_is_left_alone() {
    let server = site().start();
    let run = server.api().run(on("hello", "n1"));
    let site = server.stop();
    let before = fs::read(site.record(&run.id)).unwrap();
    site.write("state/version", "2\n");
    insta::assert_snapshot!(site.refused(), @"
    ------- stderr -------
    error: the state directory SITE/state has format version 2, newer than 1: use a newer server
    ------- exit 1 -------
    ");
    assert_eq!(fs::read(site.record(&run.id)).unwrap(), before);
    assert_eq!(site.read("state/version"), "2\n");
    site.write("state/version", "1\n");
    assert_eq!(site.start().api().ended(&run.id).events, run.events);
}

#[test]
fn strange_files_in_it_harm_nothing() {
    let server = site().start();
    let run = server.api().run(on("hello", "n1"));
    let site = server.stop();
    site.write("state/runs/README", "hello");
    // As old as no retention removes it.
    let now = action_tests::token::now();
    let named = |id: &str| format!("state/runs/{now}000-{id}.run");
    site.write(named("zzzzzzzzzzzzzzzz"), "this is no record of a run");
    site.write(named("yyyyyyyyyyyyyyyy"), [0; 4096]);
    fs::create_dir(site.path(named("xxxxxxxxxxxxxxxx"))).unwrap();
    let pipe = site.path(named("wwwwwwwwwwwwwwww"));
    rustix::fs::mknodat(
        rustix::fs::CWD,
        pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    site.write("state/lock", "somebody wrote here");
    let server = site.start();
    let api = server.api();
    assert_eq!(api.ended(&run.id).events, run.events);
    assert_eq!(api.run(on("hello", "n1")).answer_of("n1"), "hello\n");
    let listed = api.list_runs(action_proto::v1::ListRunsRequest::default());
    let listed = listed.unwrap().runs;
    // What is no record has the name of one: it is kept, and shown as what it is.
    let damaged = listed.iter().filter(|run| run.message == "record damaged");
    assert_eq!((damaged.count(), listed.len()), (2, 4));
    assert_eq!(server.read("state/runs/README"), "hello");
}
