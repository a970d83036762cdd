//! Owns what is said of names that are not there: the nearest that are. The comparing is pure;
//! the nodes are asked for only once something is wrong.

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

/// How the server begins its complaint about a command whose definition is broken.
const BROKEN: &str = "the command ";

/// The names nearest to one that is not there, the nearest first.
pub(crate) fn nearest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
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
pub(crate) fn hint(near: &[&str]) -> Option<String> {
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    (!near.is_empty()).then(|| format!("did you mean {}?", near.join(" or ")))
}

/// What the server says of a command that it does not list: the list has none that are broken.
pub(crate) async fn for_command(
    unknown: CliError,
    name: &str,
    connection: &Connection,
) -> CliError {
    let request = PlanRunRequest {
        command: name.to_owned(),
        ..PlanRunRequest::default()
    };
    match connection.plan_run(request).await {
        Err(error) if error.to_string().starts_with(BROKEN) => error,
        _ => unknown,
    }
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

/// The hint for nodes that are not there: those that only have other zeros before their numbers, or,
/// for a single name, those that look like it. Of several none is likely to be misspelt.
fn nodes_hint(wrong: &str, names: &[&str]) -> Option<String> {
    let padded = names_with_other_padding(wrong, names.iter().copied());
    match is_one(wrong) {
        true if padded.is_empty() => hint(&nearest(wrong, names.iter().copied())),
        true => hint(&padded[..padded.len().min(MOST)]),
        false if padded.is_empty() => None,
        false => hint(&[&fold(padded)]),
    }
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
        assert_eq!(nearest("cnoed01", names.into_iter())[0], "cnode01");
        assert!(nearest("xyzzy", names.into_iter()).is_empty());
        assert!(nearest("login", ["login"].into_iter()).is_empty());
        assert_eq!(
            hint(&["a", "b"]).as_deref(),
            Some("did you mean `a` or `b`?")
        );
        assert_eq!(hint(&[]), None);
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
