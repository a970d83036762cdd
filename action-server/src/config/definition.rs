//! Every setting in one definition: its meaning for the docs, its form, its default and an example.

use super::values::{
    CountLimit, FileMask, FilePath, ListenAddress, LogFormatName, LogLevel, NameList,
    ScriptVariables, SecretText, TimeLimit,
};
use crate::keys::{ByteSize, Optional, PlainText, Switch, TimeSpan, keys};

keys! {
    /// The settings of a server as they are written, each checked by itself.
    pub struct SettingKeys {
        ["Where it listens"]
        /// IP address and port. Port 0 picks a free port, which is in the log line `listening on`. `serve
        /// --listen` overrides it. Not used where systemd [passes a socket](service.md)
        listen: ListenAddress = Default("127.0.0.1:6304"), "127.0.0.1:7000";
        /// encrypt, see [TLS](configuration.md#tls). Without it only loopback is allowed
        tls: Optional<TlsKeys> = Absent("none"), "{certificate: c.pem, private_key: k.pem}";
        /// allow `listen` to be another address than loopback without `tls`. Tokens then cross the network
        /// in plain text
        insecure_listen: Switch = Default("false"), "true";
        ["Who may call"]
        /// file with the secret that signs tokens. One of this, `jwt_secret` and `jwt_key_directory` must
        /// be set
        jwt_secret_path: Optional<FilePath> = Absent("none"), "jwt_secret";
        /// the secret itself. The settings must be closed to others then: mode 600
        jwt_secret: Optional<SecretText> = Absent("none"), "a-secret-of-at-least-thirty-two-bytes";
        /// directory with more keys, by name, see [Keys](access.md#keys). Read again when it changes
        jwt_key_directory: Optional<FilePath> = Absent("none"), "keys";
        /// what `iss` of a token must be. `generate-token` writes it
        jwt_issuer: Optional<PlainText> = Absent("none"), "gateway1";
        /// what `aud` of a token must be. `generate-token` writes it
        jwt_audience: Optional<PlainText> = Absent("none"), "action";
        /// the longest from `iat` to `exp` of a token
        jwt_lifetime: TimeSpan = Default("3650days"), "30days";
        /// who may do what, see [Policy](access.md#policy). Without it a token may do what its own claims
        /// allow. Read again when it changes
        policy_path: Optional<FilePath> = Absent("none"), "policy.yaml";
        /// the revoked tokens, see [Revoking](access.md#revoking). Read again when it changes
        revocation_path: Optional<FilePath> = Absent("`revoked.jsonl` in `state_directory`"), "revoked.jsonl";
        ["What can be run"]
        /// the [nodes](configuration.md#nodes-file). Read again when it changes
        nodes_config_path: FilePath = Required("name the file that lists the nodes"), "nodes.yaml";
        /// the [commands](commands.md). Read again when it changes
        command_directory_path: FilePath = Required("name the directory of the commands"), "libexec";
        /// where scripts start
        working_directory_path: FilePath = Default("/"), "/var/tmp";
        /// variables for all scripts, see [the rules](settings.md#script_environment)
        script_environment: ScriptVariables = Default("{}"), "{AWS_PROFILE: cluster}";
        /// which permissions the files that scripts make do not get
        umask: FileMask = Default("0022"), "0077";
        /// metadata keys that callers may see and select nodes by. Everything else stays between server and
        /// scripts. Secrets are not shown even when they are listed
        visible_metadata: NameList = Default("[]"), "[aws_region]";
        /// trust files that others can write, see [Permissions](configuration.md#permissions). For
        /// development
        allow_unsafe_permissions: Switch = Default("false"), "true";
        ["How long, how many"]
        /// the most jobs that run at once on the whole server
        job_threads: CountLimit = Default("256"), "64";
        /// the longest that a run as a whole may take, its time in the queue included, on top of the limit
        /// of each job. Then its jobs are TIMED_OUT. `0s` is no limit
        run_timeout: TimeLimit = Default("0s"), "8h";
        /// how long a stopping server waits for its runs before it cancels them. A second signal cuts the
        /// wait short
        drain_timeout: TimeSpan = Default("30s"), "5m";
        /// how long a script, and what it started, has between TERM and KILL
        kill_grace: TimeSpan = Default("10s"), "30s";
        /// what callers may use
        limits: LimitKeys = Default("{}"), "{nodes: 500}";
        ["What it keeps"]
        /// where the records and the accepted nodes are, see [State directory](storage.md#state-directory)
        state_directory: FilePath = Default("/var/lib/action"), "state";
        /// which records are kept, see [Retention](storage.md#retention)
        retention: RetentionKeys = Default("{}"), "{age: 30days}";
        /// the [audit log](audit-log.md), which is always on. Its directory must be there, and must not be
        /// open for others to write, see [Permissions](configuration.md#permissions). Each server needs one
        /// of its own
        audit_path: Optional<FilePath> = Absent("`audit.jsonl` in `state_directory`"), "/var/log/action/audit.jsonl";
        /// `error` (or `fatal`), `warn`, `info`, `debug`, `trace`, `off`, or directives `TARGET=LEVEL` of
        /// the Rust crate tracing-subscriber. The lines with the server's addresses are logged with
        /// all of them but `off`
        log_level: LogLevel = Default("info"), "info,action_server::net=debug";
        /// how the [log](running.md#log) is written: on stderr, or as entries of systemd's journal
        log_format: Optional<LogFormatName> = Absent("`text`; `journald` where stderr is the journal"), "json";
        ["Monitoring"]
        /// where metrics are read over HTTP, see [monitoring.md](monitoring.md#metrics); health is asked
        /// for by gRPC. Plain text, without a token
        metrics_listen: Optional<ListenAddress> = Absent("none"), "127.0.0.1:9304";
        /// allow `metrics_listen` to be another address than loopback
        insecure_metrics_listen: Switch = Default("false"), "true";
        /// send traces to a collector (OTLP over gRPC), see [monitoring.md](monitoring.md)
        traces: Optional<TraceKeys> = Absent("none"), "{endpoint: http://127.0.0.1:4317}";
    }
}

keys! {
    /// Encryption of connections.
    pub struct TlsKeys {
        [""]
        /// the certificate, and those between it and its authority, as PEM. Read again when the file
        /// changes
        certificate: FilePath = Required("name the file of the certificate"), "certificate.pem";
        /// its key, as PEM; readable for its owner only, or root's with mode 0640. Read again when the file
        /// changes
        private_key: FilePath = Required("name the file of its key"), "private_key.pem";
        /// authorities, as PEM, one of which must have signed the caller's certificate; the token is needed
        /// all the same. `action-client` has no certificate of its own yet, so this is for other clients
        client_ca: Optional<FilePath> = Absent("none"), "ca.pem";
    }
}

keys! {
    /// Bounds on what callers and scripts may use.
    pub struct LimitKeys {
        [""]
        /// the most nodes in one selection
        nodes: CountLimit = Default("10000"), "500";
        /// the most output of one job that is kept. A command's `output_limit` replaces it
        output_per_job: ByteSize = Default("64MiB"), "1GiB";
        /// the most runs that live at once
        live_runs: CountLimit = Default("1000"), "100";
        /// the most runs of one subject that live at once
        runs_per_subject: CountLimit = Default("250"), "50";
        /// the most runs that one subject follows at once
        streams_per_subject: CountLimit = Default("500"), "100";
        /// the most connections at once. One more is closed at once
        connections: CountLimit = Default("1024"), "4096";
        /// the most connections at once from one address. Behind a web server all callers share its address
        connections_per_address: CountLimit = Default("256"), "1024";
    }
}

keys! {
    /// Which records are kept.
    pub struct RetentionKeys {
        [""]
        /// older records are removed
        age: TimeSpan = Default("90days"), "30days";
        /// the oldest records are removed until all take this much space at most
        size: ByteSize = Default("10GiB"), "100GiB";
    }
}

keys! {
    /// Where traces are sent.
    pub struct TraceKeys {
        [""]
        /// the collector's address
        endpoint: PlainText = Required("name the address of the collector"), "http://127.0.0.1:4317";
        /// allow a collector on another machine, to which traces go in plain text
        insecure: Switch = Default("false"), "true";
    }
}
