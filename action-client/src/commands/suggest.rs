//! Suggestions for misspelt names of commands and nodes.

use crate::arguments::run_target::RunTarget;
use crate::connection::Connection;
use crate::error::{CliError, ErrorKind};
use action_proto::v1::PlanRunRequest;
use action_proto::{fold, names_with_other_padding};

/// How alike (0 to 1) a name must be to be suggested.
const LIKENESS: f64 = 0.75;
/// The most names that are suggested.
const MOST: usize = 3;
/// How the server begins its complaint about nodes that it does not have.
const NO_SUCH_NODE: &str = "no such node: ";
/// The hint where the nodes are to be seen.
const LIST_NODES: &str = "`action-client nodes` lists the nodes";

/// How the server begins its complaint about a command that it does not have.
const NO_SUCH_COMMAND: &str = "no such command: ";
/// What the server says of a command that is hidden, and of one that there is not.
const HIDDEN: &str = "you may not run this command, or there is none of that name";
/// Every node that the caller may see.
const ALL: &str = "*";

/// The names nearest to one that is not there, the nearest first.
pub(crate) fn nearest_names<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(f64, &str)> = names
        // `run help` means a command of the server, and not the verb.
        .filter(|name| *name != wrong)
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// The hint for names that are near; None when there are none.
pub(crate) fn did_you_mean(near: &[&str]) -> Option<String> {
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

/// The server's reason for not listing a command, or `unknown`.
pub(crate) async fn for_command(
    unknown: CliError,
    name: &str,
    run: Option<RunTarget>,
    connection: &Connection,
) -> CliError {
    let (nodes, arguments) = run.map_or_else(
        || (ALL.to_owned(), Vec::new()),
        |run| (run.nodes, run.arguments),
    );
    let mut request = PlanRunRequest {
        command: name.to_owned(),
        nodes,
        arguments,
        ..PlanRunRequest::default()
    };
    let mut answer = connection.plan_run(request.clone()).await;
    let takes_no_nodes = format!("the command {name} takes no nodes");
    // An unlisted command may take no nodes.
    if matches!(&answer, Err(error) if error.to_string() == takes_no_nodes) {
        let node = std::mem::take(&mut request.nodes);
        if node != ALL {
            request.arguments.insert(0, node);
        }
        answer = connection.plan_run(request).await;
    }
    match answer {
        Err(error) if !is_absent(&error.to_string()) => error,
        _ => unknown,
    }
}

/// Whether the server says no more of a command than that it may not be there.
fn is_absent(text: &str) -> bool {
    text == HIDDEN || text.starts_with(NO_SUCH_COMMAND)
}

/// Adds to the server's complaint about nodes the nearest that there are.
pub(crate) async fn for_node(error: CliError, connection: &Connection) -> CliError {
    let Some(wrong) = unknown_nodes(&error) else {
        return error;
    };
    // The complaint is what matters; a failure to help with it is not worth a word.
    let Ok(nodes) = connection.list_nodes("", "").await else {
        return error;
    };
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    match (nodes_hint(&wrong, &names), is_one(&wrong)) {
        (Some(text), _) => error.hint(text).hint(LIST_NODES),
        (None, true) => error.hint(LIST_NODES),
        (None, false) => error,
    }
}

/// The hint for missing nodes: other zeros before the numbers or, for a single name, similar names.
fn nodes_hint(wrong: &str, names: &[&str]) -> Option<String> {
    let padded = names_with_other_padding(wrong, names.iter().copied());
    if !is_one(wrong) {
        let set = (!padded.is_empty()).then(|| fold(padded));
        return did_you_mean(set.as_deref().as_slice());
    }
    if padded.is_empty() {
        return did_you_mean(&nearest_names(wrong, names.iter().copied()));
    }
    did_you_mean(&padded[..padded.len().min(MOST)])
}

/// Whether the server complains about nodes that it does not have.
pub(crate) fn is_about_unknown_nodes(error: &CliError) -> bool {
    unknown_nodes(error).is_some()
}

/// The set of nodes that the server does not know, as it names them.
fn unknown_nodes(error: &CliError) -> Option<String> {
    let message = error.to_string();
    let wrong = message.strip_prefix(NO_SUCH_NODE)?;
    (error.kind() == ErrorKind::Refused).then(|| wrong.to_owned())
}

/// Whether a set is a single name.
fn is_one(set: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    set.chars().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = ["cnode01", "cnode02", "gpu1", "login"];
        assert_eq!(nearest_names("cnoed01", names.into_iter())[0], "cnode01");
        assert!(nearest_names("xyzzy", names.into_iter()).is_empty());
        assert!(nearest_names("login", ["login"].into_iter()).is_empty());
        assert_eq!(
            did_you_mean(&["a", "b"]).as_deref(),
            Some("did you mean `a` or `b`?")
        );
        assert_eq!(did_you_mean(&[]), None);
    }

    #[test]
    fn a_denial_with_a_reason_is_not_absence() {
        for (text, expected) in [
            ("no such command: touch", true),
            (HIDDEN, true),
            (
                "you may not run this command, or there is none of that name (ops: no such group: @x)",
                false,
            ),
            (
                "you may not run touch on n1 (heads alone); nothing was run",
                false,
            ),
            ("the command touch cannot be run: no script", false),
            ("the server is not available", false),
        ] {
            assert_eq!(is_absent(text), expected, "{text}");
        }
    }

    #[test]
    fn nodes_that_are_not_there_are_found_by_their_numbers_or_their_looks() {
        let names = ["n001", "n002", "n003", "n004", "m1", "login"];
        let text = |wrong: &str| nodes_hint(wrong, &names).unwrap_or_default();
        assert_eq!(text("n1"), "did you mean `n001`?");
        assert_eq!(text("n[1-4]"), "did you mean `n[001-004]`?");
        assert_eq!(text("n[3-9],x"), "did you mean `n[003-004]`?");
        assert_eq!(text("m001"), "did you mean `m1`?");
        assert_eq!(text("lgoin"), "did you mean `login`?");
        assert_eq!(text("n[8-9]"), "");
        assert_eq!(text("z*"), "");
        assert_eq!(text("lgoin,x"), "");
    }

    #[test]
    fn the_wrong_nodes_are_read_from_the_complaint() {
        let refused = |text: &str| CliError::new(ErrorKind::Refused, text);
        let unknown = unknown_nodes(&refused("no such node: n[8-9],x"));
        assert_eq!(unknown.as_deref(), Some("n[8-9],x"));
        assert_eq!(unknown_nodes(&refused("no such run")), None);
    }
}
