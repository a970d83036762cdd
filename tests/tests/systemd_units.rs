//! The units in `packaging/systemd`: systemd itself finds nothing wrong with them, and says what the
//! drop-in is worth.

use std::{fs, path::Path, process::Command};

use action_tests::program::{PATH, program, run};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/systemd");
const SERVICE: &str = include_str!("../../docs/service.md");

/// A copy of the units, with the program that was built here, and these drop-ins.
fn units(drop_ins: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let server = program("action-server").display().to_string();
    for name in ["action-server.service", "action-server.socket"] {
        let text = fs::read_to_string(Path::new(UNITS).join(name)).unwrap();
        let text = text.replace("/usr/bin/action-server", &server);
        fs::write(directory.path().join(name), text).unwrap();
    }
    let inner = directory.path().join("action-server.service.d");
    fs::create_dir(&inner).unwrap();
    for name in drop_ins {
        fs::copy(Path::new(UNITS).join(name), inner.join(name)).unwrap();
    }
    directory
}

fn analyze(words: &[&str], directory: &Path, unit: &str) -> String {
    let mut command = Command::new("systemd-analyze");
    command.args(words).arg(directory.join(unit));
    command.env_clear().env("PATH", PATH);
    let ran = run(command).ok();
    ran.stdout() + &ran.stderr()
}

#[test]
fn systemd_finds_nothing_wrong() {
    for drop_ins in [
        &[][..],
        &["hardened.conf"],
        &["tls.conf"],
        &["hardened.conf", "tls.conf"],
    ] {
        let directory = units(drop_ins);
        for unit in ["action-server.service", "action-server.socket"] {
            let said = analyze(&["verify"], directory.path(), unit);
            assert_eq!(said, "", "{unit} with {drop_ins:?}");
        }
    }
}

#[test]
fn the_exposure_is_what_the_manual_says() {
    let exposure = |drop_ins: &[&str]| {
        let directory = units(drop_ins);
        let words = ["security", "--offline=yes", "--no-pager"];
        let said = analyze(&words, directory.path(), "action-server.service");
        let (_, rest) = said.split_once("action-server.service: ").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let (plain, hardened) = (exposure(&[]), exposure(&["hardened.conf"]));
    let line = format!("from {plain} to {hardened} with systemd 252");
    assert!(
        SERVICE.contains(&line),
        "docs/service.md should say {line:?}"
    );
}

/// Each line that takes something away has a reason before it.
#[test]
fn the_drop_in_explains_itself() {
    let text = fs::read_to_string(Path::new(UNITS).join("hardened.conf")).unwrap();
    let (_, body) = text.split_once("[Service]\n").unwrap();
    for paragraph in body.split("\n\n") {
        assert!(paragraph.starts_with("# "), "{paragraph}");
    }
}
