//! Output is bytes: unchanged from a script's pipe to the caller, and through the client.

use action_proto::v1::Outcome;
use action_tests::{Server, Site, on};

/// Bytes of all values in no simple order, with NULs, newlines and nothing that is UTF-8.
fn bytes(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        // xorshift32: each test run has the same bytes.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// What the script `both` writes to its streams, and the same for a node `n1`.
fn serving(stdout: &[u8], stderr: &[u8]) -> Server {
    let site = Site::new();
    site.write("out", stdout);
    site.write("err", stderr);
    // Both at once, so that chunks of both are on their way together.
    let script = "cat \"$SCRIPT_ROOT/../err\" >&2 & cat \"$SCRIPT_ROOT/../out\"; wait";
    site.command("both", script);
    site.start()
}

/// The bytes pass through the API, and through the client when its output is piped.
#[track_caller]
fn pass_unchanged(stdout: &[u8], stderr: &[u8]) {
    let server = serving(stdout, stderr);
    let run = server.api().run(on("both", "n1"));
    assert!(run.stdout_of("n1") == stdout, "stdout differs");
    assert!(run.stderr_of("n1") == stderr, "stderr differs");
    assert_eq!(run.end_of("n1").outcome(), Outcome::Ok);
    let ran = server.client().run(&["run", "both", "n1"]).ok();
    assert!(ran.stdout == stdout, "the client's stdout differs");
    assert!(ran.stderr == stderr, "the client's stderr differs");
}

#[test]
fn every_byte_passes_unchanged_on_both_streams() {
    let all: Vec<u8> = (0..=255).collect();
    assert!(all.iter().all(|byte| bytes(9000, 7).contains(byte)));
    pass_unchanged(&bytes(300_000, 7), &bytes(200_000, 8));
}

#[test]
fn a_partial_last_line_stays_partial() {
    pass_unchanged(b"one\ntwo\npart", b"warning\nno end");
}

#[test]
fn invalid_utf8_and_nul_pass() {
    pass_unchanged(b"\xff\xfe\0\xc3\x28 \xed\xa0\x80\n\0", b"\x80\0\r\n\r");
}

#[test]
fn a_megabyte_without_a_newline_passes() {
    pass_unchanged(&vec![b'x'; 1 << 20], b"");
}

#[test]
fn a_script_that_says_nothing_says_nothing() {
    pass_unchanged(b"", b"");
}

#[test]
fn output_of_a_failed_script_is_as_whole() {
    let site = Site::new();
    site.command("fail", "printf 'half a li'; printf 'why\\xff' >&2; exit 3");
    let server = site.start();
    let ran = server.client().run(&["run", "fail", "n1"]);
    assert_eq!(ran.stdout, b"half a li");
    assert!(ran.stderr.starts_with(b"why\xff"), "{ran}");
    assert_eq!(ran.code(), 3);
}

#[test]
fn what_was_written_last_before_the_end_is_not_lost() {
    // The end of the process and the end of its output race; a small race run often.
    let site = Site::new();
    let nodes: String = (1..=40).map(|number| format!("n{number}:\n")).collect();
    site.nodes(&nodes);
    site.command(
        "end",
        "printf 'a line\\nlast words'; printf 'and these' >&2",
    );
    let server = site.start();
    let run = server.api().run(on("end", "@*"));
    for node in run.nodes() {
        assert_eq!(run.stdout_of(node), b"a line\nlast words", "{node}");
        assert_eq!(run.stderr_of(node), b"and these", "{node}");
    }
}
