//! Every setting of `server.yaml`, in words. The tests hold the table against the parser: its keys,
//! its defaults, and that each can be set by file and by environment.

use Kind::{Address, Bool, Format, List, Map, Number, Octal, Path, Size, Text, Time};
use Unset::{Is, Required, Words};

/// How the value is written, and whether the environment's is taken as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Address,
    Bool,
    Format,
    List,
    Map,
    Number,
    Octal,
    Path,
    Size,
    Text,
    Time,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Bool => "bool",
            Self::Format => "`text`, `json`, `journald`",
            Self::List => "list",
            Self::Map => "map",
            Self::Number => "number",
            Self::Octal => "octal",
            Self::Path => "path",
            Self::Size => "size",
            Self::Text => "text",
            Self::Time => "time",
        }
    }
}

/// What there is where a setting is not set.
#[derive(Debug, Clone, Copy)]
pub(super) enum Unset {
    /// The same as with this value.
    Is(&'static str),
    /// What these words say.
    Words(&'static str),
    /// The server does not start.
    Required,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Setting {
    /// Its name, behind that of its map.
    pub(super) key: &'static str,
    pub(super) kind: Kind,
    pub(super) unset: Unset,
    /// A value that is not the default, as YAML.
    pub(super) example: &'static str,
    pub(super) meaning: &'static str,
}

const fn of(
    key: &'static str,
    kind: Kind,
    unset: Unset,
    example: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting {
        key,
        kind,
        unset,
        example,
        meaning,
    }
}

/// A heading, and the settings below it.
pub(super) type Group = (&'static str, &'static [Setting]);

pub(super) const SETTINGS: &[Group] = &[
    (
        "Where it listens",
        &[
            of(
                "listen",
                Address,
                Is("127.0.0.1:6304"),
                "127.0.0.1:7000",
                "IP address and port. Port 0 picks a free port, which is in the log line `listening on`. `serve --listen` overrides it. Not used where systemd [passes a socket](service.md)",
            ),
            of(
                "tls",
                Map,
                Words("none"),
                "{certificate: c.pem, private_key: k.pem}",
                "encrypt, see [TLS](configuration.md#tls). Without it only loopback is allowed",
            ),
            of(
                "tls.certificate",
                Path,
                Required,
                "certificate.pem",
                "the certificate, and those between it and its authority, as PEM. Read again when the file changes",
            ),
            of(
                "tls.private_key",
                Path,
                Required,
                "private_key.pem",
                "its key, as PEM; readable for its owner only, or root's with mode 0640. Read again when the file changes",
            ),
            of(
                "tls.client_ca",
                Path,
                Words("none"),
                "ca.pem",
                "authorities, as PEM, one of which must have signed the caller's certificate; the token is needed all the same. `action-client` has no certificate of its own yet, so this is for other clients",
            ),
            of(
                "insecure_listen",
                Bool,
                Is("false"),
                "true",
                "allow `listen` to be another address than loopback without `tls`. Tokens then cross the network in plain text",
            ),
        ],
    ),
    (
        "Who may call",
        &[
            of(
                "jwt_secret_path",
                Path,
                Words("none"),
                "jwt_secret",
                "file with the secret that signs tokens. One of this, `jwt_secret` and `jwt_key_directory` must be set",
            ),
            of(
                "jwt_secret",
                Text,
                Words("none"),
                "a-secret-of-at-least-thirty-two-bytes",
                "the secret itself. The settings must be closed to others then: mode 600",
            ),
            of(
                "jwt_key_directory",
                Path,
                Words("none"),
                "keys",
                "directory with more keys, by name, see [Keys](access.md#keys). Read again when it changes",
            ),
            of(
                "jwt_issuer",
                Text,
                Words("none"),
                "gateway1",
                "what `iss` of a token must be. `generate-token` writes it",
            ),
            of(
                "jwt_audience",
                Text,
                Words("none"),
                "action",
                "what `aud` of a token must be. `generate-token` writes it",
            ),
            of(
                "jwt_lifetime",
                Time,
                Is("3650days"),
                "30days",
                "the longest from `iat` to `exp` of a token",
            ),
            of(
                "policy_path",
                Path,
                Words("none"),
                "policy.yaml",
                "who may do what, see [Policy](access.md#policy). Without it a token may do what its own claims allow. Read again when it changes",
            ),
            of(
                "revocation_path",
                Path,
                Words("`revoked.jsonl` in `state_directory`"),
                "revoked.jsonl",
                "the revoked tokens, see [Revoking](access.md#revoking). Read again when it changes",
            ),
        ],
    ),
    (
        "What can be run",
        &[
            of(
                "nodes_config_path",
                Path,
                Required,
                "nodes.yaml",
                "see [nodes file](configuration.md#nodes-file). Read again when it changes",
            ),
            of(
                "command_directory_path",
                Path,
                Required,
                "libexec",
                "see [command directory](commands.md). Read again when it changes",
            ),
            of(
                "working_directory_path",
                Path,
                Is("/"),
                "/var/tmp",
                "where scripts start",
            ),
            of(
                "script_environment",
                Map,
                Is("{}"),
                "{AWS_PROFILE: cluster}",
                "variables for all scripts, see [the rules](settings.md#script_environment)",
            ),
            of(
                "umask",
                Octal,
                Is("0022"),
                "0077",
                "which permissions the files that scripts make do not get",
            ),
            of(
                "visible_metadata",
                List,
                Is("[]"),
                "[aws_region]",
                "metadata keys that callers may see and select nodes by. Everything else stays between server and scripts. Secrets are not shown even when they are listed",
            ),
            of(
                "allow_unsafe_permissions",
                Bool,
                Is("false"),
                "true",
                "trust files that others can write, see [Permissions](configuration.md#permissions). For development",
            ),
        ],
    ),
    (
        "How long, how many",
        &[
            of(
                "job_threads",
                Number,
                Is("256"),
                "64",
                "the most jobs that run at once on the whole server",
            ),
            of(
                "run_timeout",
                Time,
                Is("0s"),
                "8h",
                "the longest that a run as a whole may take, its time in the queue included, on top of the limit of each job. Then its jobs are TIMED_OUT. `0s` is no limit",
            ),
            of(
                "drain_timeout",
                Time,
                Is("30s"),
                "5m",
                "how long a stopping server waits for its runs before it cancels them. A second signal cuts the wait short",
            ),
            of(
                "kill_grace",
                Time,
                Is("10s"),
                "30s",
                "how long a script, and what it started, has between TERM and KILL",
            ),
            of(
                "limits",
                Map,
                Words("as below"),
                "{nodes: 500}",
                "what callers may use",
            ),
            of(
                "limits.nodes",
                Number,
                Is("10000"),
                "500",
                "the most nodes in one selection",
            ),
            of(
                "limits.output_per_job",
                Size,
                Is("64MiB"),
                "1GiB",
                "the most output of one job that is kept. A command's `output_limit` replaces it",
            ),
            of(
                "limits.live_runs",
                Number,
                Is("1000"),
                "100",
                "the most runs that live at once",
            ),
            of(
                "limits.runs_per_subject",
                Number,
                Is("250"),
                "50",
                "the most runs of one subject that live at once",
            ),
            of(
                "limits.streams_per_subject",
                Number,
                Is("500"),
                "100",
                "the most runs that one subject follows at once",
            ),
            of(
                "limits.connections",
                Number,
                Is("1024"),
                "4096",
                "the most connections at once. One more is closed at once",
            ),
            of(
                "limits.connections_per_address",
                Number,
                Is("256"),
                "1024",
                "the most connections at once from one address. Behind a web server all callers share its address",
            ),
        ],
    ),
    (
        "What it keeps",
        &[
            of(
                "state_directory",
                Path,
                Is("/var/lib/action"),
                "state",
                "where the records and the accepted nodes are, see [State directory](storage.md#state-directory)",
            ),
            of(
                "retention",
                Map,
                Words("as below"),
                "{age: 30days}",
                "which records are kept, see [Retention](storage.md#retention)",
            ),
            of(
                "retention.age",
                Time,
                Is("90days"),
                "30days",
                "older records are removed",
            ),
            of(
                "retention.size",
                Size,
                Is("10GiB"),
                "100GiB",
                "the oldest records are removed until all take this much space at most",
            ),
            of(
                "audit_path",
                Path,
                Words("`audit.jsonl` in `state_directory`"),
                "/var/log/action/audit.jsonl",
                "the [audit log](audit-log.md), which is always on. Its directory must be there, and must not be open for others to write, see [Permissions](configuration.md#permissions). Each server needs one of its own",
            ),
            of(
                "log_level",
                Text,
                Is("info"),
                "info,action_server::net=debug",
                "`error` (or `fatal`), `warn`, `info`, `debug`, `trace`, `off`, or directives `TARGET=LEVEL` of the Rust crate tracing-subscriber. The lines that tell the server's addresses are logged with all of them but `off`",
            ),
            of(
                "log_format",
                Format,
                Words("`text`; `journald` where stderr is the journal"),
                "json",
                "how the [log](running.md#log) is written: on stderr, or as entries of systemd's journal",
            ),
        ],
    ),
    (
        "Monitoring",
        &[
            of(
                "metrics_listen",
                Address,
                Words("none"),
                "127.0.0.1:9304",
                "where metrics are read over HTTP, see [monitoring.md](monitoring.md#metrics); health is asked for by gRPC. Plain text, without a token",
            ),
            of(
                "insecure_metrics_listen",
                Bool,
                Is("false"),
                "true",
                "allow `metrics_listen` to be another address than loopback",
            ),
            of(
                "traces",
                Map,
                Words("none"),
                "{endpoint: http://127.0.0.1:4317}",
                "send traces to a collector (OTLP over gRPC), see [monitoring.md](monitoring.md)",
            ),
            of(
                "traces.endpoint",
                Text,
                Required,
                "http://127.0.0.1:4317",
                "the collector's address",
            ),
            of(
                "traces.insecure",
                Bool,
                Is("false"),
                "true",
                "allow a collector on another machine, to which traces go in plain text",
            ),
        ],
    ),
];
