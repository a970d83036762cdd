//! What the server does to its own process before the first script, and what every script's
//! environment starts from.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{BorrowedFd, RawFd},
};

use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};

use super::memory::keep_freed_memory;

/// As many descriptors as the server may need.
const DESCRIPTORS: u64 = 16 * 1024;

/// Makes the process fit to run scripts: nothing that it inherited leaks into them, nothing of
/// them escapes it, and a crash leaves no secrets in a core file.
///
/// # Errors
/// The kernel's refusal to make it a subreaper (prctl(2), PR_SET_CHILD_SUBREAPER).
pub fn prepare_server(umask: u32) -> io::Result<()> {
    keep_freed_memory();
    close_inherited_on_exec();
    // Scripts inherit it. What the server itself writes has modes of its own.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    raise_descriptor_limit();
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))?;
    // A core file that is piped to a program is not held up by the limit. This comes last: what is
    // not dumpable is root's in /proc.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Where this is refused the limits of the system stand.
    _ = setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    );
    Ok(())
}

/// Each job takes three descriptors and each watcher one: the usual 1,024 are soon used up.
fn raise_descriptor_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // Where this is refused the limit stands, and what is too much is refused one by one.
        _ = setrlimit(Resource::Nofile, limit);
    }
}

/// Descriptors that somebody left open in us would be open in each script.
fn close_inherited_on_exec() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers: Vec<RawFd> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|&number| number > 2)
        .collect();
    for number in numbers {
        #[expect(
            unsafe_code,
            reason = "descriptors that were inherited have no owner in Rust"
        )]
        // SAFETY: the number is not -1, and the borrow ends before anything could close it: this
        // runs before other threads start. A number that was closed since gives EBADF.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if let Ok(flags) = fcntl_getfd(descriptor) {
            _ = fcntl_setfd(descriptor, flags | FdFlags::CLOEXEC);
        }
    }
}

/// The variables that every script gets whatever it runs on, overridden and extended by the
/// admin's. Only HOME, USER and LOGNAME come from the server's user; the rest is fixed.
pub fn base_environment(admin: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let user = User::current();
    let base = [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", "/bin/sh"),
        ("LANG", "C.UTF-8"),
    ];
    let mut variables: BTreeMap<String, String> = base
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    variables.extend(
        admin
            .iter()
            .map(|(key, value)| (key.clone(), value.clone())),
    );
    variables.into_iter().collect()
}

/// The server's user, as passwd(5) knows it.
struct User {
    name: String,
    home: String,
}

impl User {
    fn current() -> User {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let entry = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let entry = entry
            .into_iter()
            .find(|fields| fields.len() >= 7 && fields[2] == uid);
        match entry {
            Some(fields) => User {
                name: fields[0].to_owned(),
                home: fields[5].to_owned(),
            },
            // A user from a directory service: the number is true, and / is always there.
            None => User {
                name: uid,
                home: "/".to_owned(),
            },
        }
    }
}
