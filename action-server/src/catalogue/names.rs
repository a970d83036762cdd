//! Which names are allowed for nodes, commands, ranks and script variables, and why not.

use action_proto::input::shown_name;

/// Variables that every script gets from us. Metadata may not hide them.
const OWN: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "SCRIPT_ROOT",
    "command",
    "name",
    "run_id",
    "job_id",
    "request_username",
    "request_uid",
    "request_reason",
];

/// Those of our own names which may not be hidden in another case either.
const OWN_IN_ANY_CASE: [&str; 8] = [
    "script_root",
    "command",
    "name",
    "run_id",
    "job_id",
    "request_username",
    "request_uid",
    "request_reason",
];

/// Variables that change how a shell, a loader or an interpreter behaves. The base is the
/// table of sudoers(5), "env_delete", with what bash(1), dash(1) and ld.so(8) add.
const DANGEROUS: [&str; 69] = [
    "BASHOPTS",
    "BASH_COMPAT",
    "BASH_ENV",
    "BASH_LOADABLES_PATH",
    "BASH_XTRACEFD",
    "CDPATH",
    "CHILD_MAX",
    "COLUMNS",
    "COMPREPLY",
    "DIRSTACK",
    "ENV",
    "EUID",
    "EXECIGNORE",
    "FCEDIT",
    "FIGNORE",
    "FPATH",
    "FUNCNEST",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLIBC_TUNABLES",
    "GLOBIGNORE",
    "GLOBSORT",
    "GROUPS",
    "HISTFILE",
    "HOSTALIASES",
    "IFS",
    "INPUTRC",
    "JAVA_TOOL_OPTIONS",
    "LANGUAGE",
    "LINES",
    "LOCALDOMAIN",
    "LOCPATH",
    "MAILCHECK",
    "MALLOC_TRACE",
    "NIS_PATH",
    "NLSPATH",
    "NODE_OPTIONS",
    "NULLCMD",
    "OLDPWD",
    "OPTERR",
    "OPTIND",
    "PATH_LOCALE",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLIO_DEBUG",
    "PERLLIB",
    "POSIXLY_CORRECT",
    "PPID",
    "PROMPT_COMMAND",
    "PS4",
    "PWD",
    "PYTHONHOME",
    "PYTHONINSPECT",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "READNULLCMD",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "RUBYLIB",
    "RUBYOPT",
    "SHELLOPTS",
    "SHLVL",
    "TERM",
    "TMPDIR",
    "TZ",
    "TZDIR",
    "UID",
];

const DANGEROUS_PREFIXES: [&str; 10] = [
    "LD_",
    "DYLD_",
    "_RLD",
    "BASH_FUNC_",
    "BASH_ARG",
    "LC_",
    "SUDO_",
    "TERMINFO",
    "TERMPATH",
    "TERMCAP",
];

/// The longest value of a script variable, in bytes: the kernel takes 128 KiB a string.
const VALUE_LIMIT: usize = 16 * 1024;

/// Why a variable may not be given to scripts; `None` when it may.
///
/// Names match `[A-Za-z_][A-Za-z0-9_]{0,63}`, do not change how a shell or loader behaves and
/// do not hide our own (spec section 1).
pub fn bad_script_variable(key: &str, value: &str) -> Option<String> {
    bad_key(key).or_else(|| bad_value(value))
}

fn bad_key(key: &str) -> Option<String> {
    let mut bytes = key.bytes();
    let first = bytes
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first || !bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') || key.len() > 64 {
        return Some(format!(
            "{:?} cannot be a variable of a script: letters, digits and _ only, no digit first, at most 64",
            shown_name(key)
        ));
    }
    if OWN.contains(&key) || OWN_IN_ANY_CASE.contains(&key.to_ascii_lowercase().as_str()) {
        return Some(format!(
            "{key} is set for every script by the server; choose another name"
        ));
    }
    let dangerous = DANGEROUS.contains(&key)
        || DANGEROUS_PREFIXES
            .iter()
            .any(|prefix| key.starts_with(prefix));
    dangerous.then(|| format!("{key} would change how the shell or the loader of a script behaves; choose another name"))
}

fn bad_value(value: &str) -> Option<String> {
    if value.contains('\0') {
        return Some("the value has a NUL, which no variable can hold".into());
    }
    if value.starts_with("()") {
        return Some("the value begins with (), which a shell could take for a function".into());
    }
    (value.len() > VALUE_LIMIT).then(|| {
        format!(
            "the value has {} bytes; at most {VALUE_LIMIT} are passed to scripts",
            value.len()
        )
    })
}

/// The longest name of a node, rank or group, in bytes.
pub(super) const NAME_LIMIT: usize = 64;

/// True for `[A-Za-z0-9][A-Za-z0-9_.-]{0,63}`: a node.
pub(super) fn is_node_name(name: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

/// True for lower-case letters, digits and hyphens, at most 64, no hyphen first: a command.
pub fn is_command_name(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// True for a rank or a group: as a node name, and nothing that a selection reads as grammar.
pub(super) fn is_label(name: &str) -> bool {
    is_node_name(name)
}

/// The key of a node that another one is most likely meant to be.
pub(super) fn likely_meant(key: &str) -> Option<&'static str> {
    let letters = key.trim_matches('_').to_ascii_lowercase();
    match letters.as_str() {
        "rank" | "ranks" => Some("ranks"),
        "secret" | "secrets" if key.starts_with("__") => Some("__secret__"),
        _ => None,
    }
}

/// True for keys that are kept secret wherever they stand (spec section 7).
pub(super) fn is_secret_key(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["password", "secret", "token"]
        .iter()
        .any(|ending| key.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_scripts_may_have() {
        for key in ["ec2_id", "_x", "aws_region", "IP", "user", "home", "path"] {
            assert_eq!(bad_script_variable(key, "v"), None, "{key}");
        }
        for key in [
            "PATH",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "BASH_ENV",
            "BASH_FUNC_ls%%",
            "IFS",
            "ENV",
            "a=b",
            "",
            "1a",
            "a-b",
            "a b",
            "é",
            "name",
            "Name",
            "NAME",
            "COMMAND",
            "SCRIPT_ROOT",
            "LC_ALL",
            "SHELLOPTS",
            "PS4",
            "UID",
            "EUID",
            "PPID",
            "PWD",
            "OLDPWD",
            "SHLVL",
            "TMPDIR",
            "TERM",
            "TZ",
            "OPTIND",
            "POSIXLY_CORRECT",
            "HOME",
            "SHELL",
            "USER",
            "LOGNAME",
            "LANG",
            "CDPATH",
            "a\0b",
        ] {
            assert!(bad_script_variable(key, "v").is_some(), "{key:?}");
        }
        assert!(bad_script_variable("ok", "() { :; }").is_some());
        assert!(bad_script_variable("ok", "a\0b").is_some());
        assert!(bad_script_variable("ok", &"x".repeat(VALUE_LIMIT + 1)).is_some());
    }

    #[test]
    fn names_of_nodes_and_commands() {
        assert!(is_node_name("cnode01") && is_node_name("10.0.0.1") && is_node_name("a_b-c"));
        for name in [
            "",
            "-x",
            "../x",
            "a b",
            "a\nb",
            "a,b",
            "a[1",
            &"x".repeat(65),
        ] {
            assert!(!is_node_name(name), "{name:?}");
        }
        assert!(is_command_name("power-on"));
        for name in ["", "-rf", "power_on", "Power", "a/b", "..", "a%2fb"] {
            assert!(!is_command_name(name), "{name:?}");
        }
    }
}
