//! Owns what is said of names that are not there: the nearest that are. The comparing is pure;
//! the nodes are asked for only once something is wrong.

use crate::connection::Connection;
use crate::error::{CliError, ErrorKind};
use action_proto::v1::PlanRunRequest;

/// How alike (0 to 1) a name must be to be suggested.
const LIKENESS: f64 = 0.75;
/// The most names that are suggested.
const MOST: usize = 3;
/// How the server begins its complaint about nodes that it does not have.
const NO_SUCH_NODE: &str = "no such node: ";

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

/// Adds to the server's complaint about a node the nearest nodes that there are.
pub(crate) async fn for_node(error: CliError, connection: &Connection) -> CliError {
    let Some(wrong) = unknown_node(&error) else {
        return error;
    };
    // The complaint is what matters; a failure to help with it is not worth a word.
    let Ok(nodes) = connection.list_nodes("", "").await else {
        return error;
    };
    let near = nearest(&wrong, nodes.iter().map(|node| node.name.as_str()));
    let error = match hint(&near) {
        Some(text) => error.hint(text),
        None => error,
    };
    error.hint("`action-client nodes` lists the nodes")
}

/// The single node that the server does not know. Of several no one is likely to be misspelt.
fn unknown_node(error: &CliError) -> Option<String> {
    let message = error.to_string();
    let wrong = message.strip_prefix(NO_SUCH_NODE)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let is_one = error.kind() == ErrorKind::Refused && wrong.chars().all(is_name);
    is_one.then(|| wrong.to_owned())
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
    fn the_wrong_node_is_read_from_the_complaint() {
        let refused = |text: &str| CliError::new(ErrorKind::Refused, text);
        assert_eq!(
            unknown_node(&refused("no such node: n9")).as_deref(),
            Some("n9")
        );
        assert_eq!(unknown_node(&refused("no such node: n[8-9]")), None);
        assert_eq!(unknown_node(&refused("no such node: z*")), None);
        assert_eq!(unknown_node(&refused("no such run")), None);
    }
}
