//! The program that a script's first line has env(1) look for.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::MetadataExt,
    path::Path,
};

use action_proto::input::shown_path;

/// Why env(1) finds no interpreter for a script in these directories; `None` where it may find one.
pub fn env_fault(script: &Path, path: &str) -> Option<String> {
    let mut start = Vec::with_capacity(256);
    File::open(script)
        .ok()?
        .take(256)
        .read_to_end(&mut start)
        .ok()?;
    let text = String::from_utf8_lossy(&start);
    let (program, is_split) = env_program(text.lines().next()?)?;
    let is_program = |file: &Path| {
        fs::metadata(file).is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
    };
    let is_there = if program.contains('/') {
        is_program(Path::new(program))
    } else {
        path.split(':')
            .any(|directory| is_program(&Path::new(directory).join(program)))
    };
    if is_there {
        return None;
    }
    let hint = if program.contains(char::is_whitespace) && !is_split {
        "; arguments need env -S"
    } else {
        ""
    };
    let shown = shown_path(Path::new(program), Path::exists);
    Some(format!(
        "its interpreter {shown:?} is not in the PATH of scripts ({path}){hint}"
    ))
}

/// The program, and whether env splits what follows. The kernel passes all of it as one word.
fn env_program(line: &str) -> Option<(&str, bool)> {
    let line = line.strip_prefix("#!")?.trim();
    let (interpreter, rest) = line.split_once(char::is_whitespace)?;
    if Path::new(interpreter).file_name()? != "env" {
        return None;
    }
    let rest = rest.trim();
    match rest.strip_prefix("-S") {
        Some(words) => {
            let mut words = words.split_whitespace().filter(|word| !word.contains('='));
            Some((words.next()?, true))
        }
        None => Some((rest, false)),
    }
    // Other options, and quotes, are env's business.
    .filter(|(program, _)| !program.starts_with(['-', '\'', '"', '$']) && !program.contains('='))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_the_one_that_env_looks_for() {
        for (line, expected) in [
            ("#!/usr/bin/env bash", Some("bash")),
            ("#! /bin/env  bash ", Some("bash")),
            ("#!/usr/bin/env python3 -u", Some("python3 -u")),
            ("#!/usr/bin/env -S python3 -u", Some("python3")),
            ("#!/usr/bin/env -SA=b python3", Some("python3")),
            ("#!/usr/bin/env -i bash", None),
            ("#!/usr/bin/env", None),
            ("#!/bin/bash -e", None),
            ("#!/opt/env/bash x", None),
            ("echo", None),
        ] {
            let program = env_program(line).map(|(program, _)| program);
            assert_eq!(program, expected, "{line}");
        }
    }

    #[test]
    fn a_program_is_looked_for_in_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("script");
        let fault = |line: &str| {
            fs::write(&script, format!("{line}\necho\n")).unwrap();
            env_fault(&script, "/nowhere:/bin:/usr/bin")
        };
        for line in [
            "#!/usr/bin/env sh",
            "#!/usr/bin/env /bin/sh",
            "#!/bin/sh",
            "#!/usr/bin/env -S sh -e",
        ] {
            assert_eq!(fault(line), None, "{line}");
        }
        for (line, part) in [
            ("#!/usr/bin/env nosuchprog", "\"nosuchprog\" is not in"),
            ("#!/usr/bin/env /bin/nosuchprog", "nosuchprog"),
            ("#!/usr/bin/env sh -e", "arguments need env -S"),
        ] {
            let told = fault(line).unwrap();
            assert!(told.contains(part), "{told}");
        }
    }
}
