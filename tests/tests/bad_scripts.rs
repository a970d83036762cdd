//! Bad input: scripts that cannot be run. The error names the script, nothing is run, not even
//! on nodes whose own script is right, and the rest of the server works.

use std::{
    ffi::OsStr,
    fs::{self, File},
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    thread,
    time::Duration,
};

use action_proto::v1::Outcome;
use action_tests::{Server, Site, on};
use tonic::Code;

/// A site with the command `bad`, which runs a script of its own on nodes of rank `aws`.
fn site() -> Site {
    let site = Site::new();
    site.nodes("n1:\ncloud1: {ranks: aws}\n");
    site.command("bad", "touch \"$SCRIPT_ROOT/../ran\"; echo ran");
    site.script(
        "bad/aws.sh",
        "touch \"$SCRIPT_ROOT/../ran\"; echo ran on aws",
    );
    site.command("good", "echo good");
    site
}

/// What callers are told, and that nothing was run and others can still run.
#[track_caller]
fn is_refused(server: &Server, reason: &str) {
    let api = server.api();
    for nodes in ["n1", "n1,cloud1"] {
        let (code, text) = api.refused(on("bad", nodes));
        assert_eq!(code, Code::FailedPrecondition, "{text}");
        assert!(text.contains(reason), "{text}");
        // Paths and remedies are for the log and `check`.
        let site = server.path("").display().to_string();
        assert!(!text.contains(&site) && !text.contains("chmod"), "{text}");
    }
    assert!(!server.has("ran"));
    assert_eq!(api.run(on("good", "n1")).answer_of("n1"), "good\n");
}

/// What the log says of `bad`'s default script.
#[track_caller]
fn is_logged(server: &Server, reason: &str) {
    let script = server.path("libexec/bad/default.sh");
    let line = format!(
        "ERROR {}:1: the script of rank default is not usable: {reason}",
        script.display()
    );
    assert!(
        server.log().contains(&line),
        "{line}\n---\n{}",
        server.log()
    );
}

#[test]
fn a_script_without_an_interpreter_line() {
    let site = site();
    site.whole_script("bad/default.sh", "touch \"$SCRIPT_ROOT/../ran\"\n");
    let server = site.start();
    is_refused(&server, "it does not start with #! and an interpreter");
    is_logged(&server, "it does not start with #! and an interpreter");
}

#[test]
fn a_script_that_is_not_executable() {
    let site = site();
    let script = site.path("libexec/bad/default.sh");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644)).unwrap();
    let server = site.start();
    is_refused(&server, "it is not executable");
    is_logged(
        &server,
        &format!("it is not executable; run: chmod +x {}", script.display()),
    );
}

#[test]
fn a_script_that_is_a_broken_link() {
    let site = site();
    let script = site.path("libexec/bad/default.sh");
    fs::remove_file(&script).unwrap();
    symlink("nowhere.sh", &script).unwrap();
    let server = site.start();
    is_refused(&server, "it is not there (or a link that leads nowhere)");
    is_logged(&server, "it is not there (or a link that leads nowhere)");
}

#[test]
fn a_script_that_is_a_directory_or_a_fifo() {
    let site = site();
    fs::remove_file(site.path("libexec/bad/default.sh")).unwrap();
    let _fifo = site.gate("libexec/bad/default.sh");
    let server = site.start();
    is_refused(&server, "it is not a regular file");
    let site = server.stop();
    fs::remove_file(site.path("libexec/bad/default.sh")).unwrap();
    fs::create_dir(site.path("libexec/bad/default.sh")).unwrap();
    is_refused(&site.start(), "there is no default.sh");
}

#[test]
fn a_script_that_is_deleted_after_it_was_loaded() {
    let server = site().start();
    assert!(server.api().command_names().contains(&"bad".to_owned()));
    fs::remove_file(server.path("libexec/bad/default.sh")).unwrap();
    // Before the server hears of it and after: it is asked at once, and again.
    is_refused(&server, "bad");
    server.wait_for_log("there is no default.sh");
    is_refused(&server, "bad");
}

#[test]
fn a_link_that_leads_to_a_script_is_as_good_as_one() {
    let site = site();
    fs::rename(
        site.path("libexec/bad/default.sh"),
        site.path("libexec/bad/real"),
    )
    .unwrap();
    symlink("real", site.path("libexec/bad/default.sh")).unwrap();
    let server = site.start();
    assert_eq!(server.api().run(on("bad", "n1")).answer_of("n1"), "ran\n");
}

/// ETXTBSY, execve(2): somebody holds the script open for writing.
#[test]
fn a_script_that_is_being_written() {
    let server = site().start();
    let api = server.api();
    let open = || {
        let mut options = File::options();
        options
            .append(true)
            .open(server.path("libexec/good/default.sh"))
    };
    // For longer than anybody waits: the job is not started, and says why.
    let writing = open().unwrap();
    let run = api.run(on("good", "n1"));
    let end = run.end_of("n1");
    assert_eq!(end.outcome(), Outcome::NotStarted, "{end:?}");
    assert!(end.message.contains("Text file busy"), "{end:?}");
    drop(writing);
    assert_eq!(api.run(on("good", "n1")).answer_of("n1"), "good\n");
    // For moments, again and again, as an editor does: it is waited for. (While it is being started
    // the kernel refuses those who write.)
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..50 {
                let writing = open();
                thread::park_timeout(Duration::from_millis(15));
                drop(writing);
                thread::park_timeout(Duration::from_millis(25));
            }
        });
        while !writer.is_finished() {
            assert_eq!(api.run(on("good", "n1")).answer_of("n1"), "good\n");
        }
    });
}

/// E2BIG, execve(2): each variable is small enough, and all together are too many.
#[test]
fn a_script_that_would_get_more_than_the_kernel_passes_on() {
    let site = site();
    let value = "x".repeat(16_000);
    let keys: String = (0..200).map(|at| format!("  key{at}: {value}\n")).collect();
    site.nodes(&format!("n1: {{}}\nlarge:\n{keys}"));
    let server = site.start();
    let run = server.api().run(on("good", "n1,large"));
    let end = run.end_of("large");
    assert_eq!(end.outcome(), Outcome::NotStarted, "{end:?}");
    assert!(end.message.contains("Argument list too long"), "{end:?}");
    assert_eq!(run.answer_of("n1"), "good\n");
}

#[test]
fn names_of_files_that_are_no_text_or_no_rank() {
    let site = site();
    let strange = |name: &[u8]| site.path("libexec").join(OsStr::from_bytes(name));
    fs::create_dir(strange(b"str\xffnge")).unwrap();
    fs::write(strange(b"str\xffnge/metadata.yaml"), "help: {summary: s}").unwrap();
    for name in [
        &b"good/\xff.sh"[..],
        b"good/a b.sh",
        b"good/.hidden.sh",
        b"good/notes \xff",
    ] {
        fs::write(strange(name), "#!/bin/bash\n").unwrap();
    }
    let check = site.server_verb(&["check"]);
    insta::assert_snapshot!(check, @"
    SITE/libexec/str\u{fffd}nge:1: cannot be a command's name: lower-case letters, digits and - only
    SITE/libexec/good/a b.sh:1: warning: no rank can have this name: letters, digits and _ . - after the first, at most 64; it is not run
    SITE/libexec/good/\u{fffd}.sh:1: warning: no rank can have this name: letters, digits and _ . - after the first, at most 64; it is not run
    ------- stderr -------
    error: 2 nodes and 2 commands can be used; 1 error, 2 warnings
    ------- exit 78 -------
    ");
    let server = site.start();
    assert_eq!(server.api().run(on("good", "n1")).answer_of("n1"), "good\n");
}
