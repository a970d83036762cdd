//! Every key of a command's `metadata.yaml`, in words. The tests hold the table against the parser.

/// A key: its name behind that of its map, how it is written, what there is without it, a value as
/// YAML, and what it means.
pub(super) type Key = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

pub(super) const KEYS: &[Key] = &[
    (
        "help.summary",
        "text",
        "required",
        "Tell the state",
        "one line",
    ),
    (
        "help.description",
        "text",
        "the summary",
        "Tells the state.",
        "for the command's help",
    ),
    (
        "help.syntax",
        "text",
        "empty",
        "\"NAME TYPE [SIZE]\"",
        "the arguments. The client refuses to run without those that are not in brackets. `NAME`, in the first place, is the node",
    ),
    (
        "help.has_context",
        "bool",
        "`true`",
        "true",
        "`false`: the command takes no nodes and runs once, with `default`",
    ),
    (
        "confirmation",
        "text",
        "none",
        "Power off %{nodes}?",
        "the question to ask before a run. `%{nodes}` becomes the node set, with the number of nodes where `%{count}` does not have it, and `%{arguments}` the arguments. \
         Scope that the text does not name stands on lines before it",
    ),
    (
        "timeout",
        "time",
        "`1h`",
        "10m",
        "the longest for one job. Callers may lower it",
    ),
    (
        "fanout",
        "number",
        "`64`",
        "8",
        "the most jobs of one run at once. Callers may lower it",
    ),
    (
        "output_limit",
        "size or `none`",
        "`limits.output_per_job`",
        "1MiB",
        "the most output of one job that is kept. What is more is read, counted and dropped",
    ),
    (
        "exit_codes",
        "map",
        "empty",
        "{123: {state: \"OFF\"}}",
        "codes that are an answer and no failure, each with its state",
    ),
    (
        "leave_running",
        "bool",
        "`false`",
        "true",
        "when the script ends by itself, leave alone what outlives it, such as a daemon that it started",
    ),
    (
        "verify",
        "map",
        "none",
        "{command: power-status, until: [ON]}",
        "how to see that a node has come where the command sends it, see [Waiting for a state](commands.md#waiting-for-a-state)",
    ),
    (
        "verify.command",
        "text",
        "required",
        "power-status",
        "the command whose script prints the node's state",
    ),
    (
        "verify.until",
        "list",
        "required",
        "[ON]",
        "the states to wait for, one of which is enough",
    ),
    (
        "verify.every",
        "time",
        "`5s`",
        "2s",
        "from the end of one look to the next",
    ),
    (
        "verify.timeout",
        "time",
        "`5m`",
        "1m",
        "how long the state may take, after the script has ended",
    ),
    (
        "wait",
        "bool",
        "`false`",
        "true",
        "wait for that also when a caller does not ask for it",
    ),
];
