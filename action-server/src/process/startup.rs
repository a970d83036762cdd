//! What the server does to its own process before the first script, and what every script's
//! environment starts from.

use std::{
    collections::BTreeMap,
    io,
    os::fd::{BorrowedFd, RawFd},
    path::Path,
};

use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit},
};
use uzers::os::unix::UserExt;

use super::memory::keep_freed_memory;

/// As many descriptors as the server may need.
const DESCRIPTORS: u64 = 16 * 1024;

/// proc(5) is not mounted.
const NO_PROC: &str = "there is no /proc, by which the server finds the processes of scripts to end them; mount it (in a container or chroot: mount -t proc proc /proc)";

/// Makes the process fit to run scripts: nothing that it inherited leaks into them, nothing of
/// them escapes it, and a crash leaves no secrets in a core file.
///
/// # Errors
/// There is no `/proc`, or the kernel's refusal to make it a subreaper (prctl(2),
/// PR_SET_CHILD_SUBREAPER).
pub fn prepare_server(umask: u32) -> io::Result<()> {
    if !Path::new("/proc/self/stat").exists() {
        return Err(io::Error::new(io::ErrorKind::NotFound, NO_PROC));
    }
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

/// Inherited descriptors would be open in each script.
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
/// admin's. HOME, USER, LOGNAME and SHELL come from the server's user; the rest is fixed.
pub fn base_environment(admin: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let user = ServerUser::current();
    let base = [
        (
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        ("HOME", &user.home),
        ("USER", &user.name),
        ("LOGNAME", &user.name),
        ("SHELL", &user.shell),
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

/// The server's user, as the system's user database has it: files, LDAP, SSSD (nsswitch.conf(5)).
struct ServerUser {
    name: String,
    home: String,
    shell: String,
}

impl ServerUser {
    fn current() -> ServerUser {
        let uid = rustix::process::geteuid().as_raw();
        let known = uzers::get_user_by_uid(uid);
        let text = |path: &Path| path.to_str().map(str::to_owned);
        ServerUser {
            name: known
                .as_ref()
                .and_then(|user| user.name().to_str().map(str::to_owned))
                .unwrap_or_else(|| uid.to_string()),
            // A user that no database has: / is always there.
            home: known
                .as_ref()
                .and_then(|user| text(user.home_dir()))
                .filter(|home| !home.is_empty())
                .unwrap_or_else(|| "/".to_owned()),
            shell: known
                .as_ref()
                .and_then(|user| text(user.shell()))
                .filter(|shell| runs_commands(shell))
                .unwrap_or_else(|| "/bin/sh".to_owned()),
        }
    }
}

/// False for placeholders of users without a login: programs that start `$SHELL`, such as ssh for its
/// ProxyCommand, could not use them.
fn runs_commands(shell: &str) -> bool {
    let name = Path::new(shell).file_name().and_then(|name| name.to_str());
    shell.starts_with('/') && !matches!(name, None | Some("nologin" | "false" | "true" | "sync"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_shell_is_one_that_runs_nothing() {
        for shell in ["/bin/bash", "/usr/bin/zsh", "/bin/sh"] {
            assert!(runs_commands(shell));
        }
        for shell in ["", "/usr/sbin/nologin", "/bin/false", "bash"] {
            assert!(!runs_commands(shell), "{shell}");
        }
    }
}
