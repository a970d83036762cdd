//! `estate-list`, `nodes`, and `list` of `estate`: the nodes in the server's order.

use crate::commands::{Context, suggest};
use crate::connection::Connection;
use crate::error::{CliError, ErrorKind, Result};
use crate::render::output::StdStream;
use crate::render::table::{self, or_dash};
use crate::render::{OutputFormat, json};
use action_proto::fold;
use action_proto::input::shown_set;
use action_proto::v1::Node;
use clap::Args;
use serde_json::{Map, Value, json};

#[derive(Args, Debug)]
pub(crate) struct NodesArgs {
    /// Print one JSON object per line, like --output json
    #[arg(long)]
    json: bool,
    /// Also print ranks, groups and visible metadata
    #[arg(long, short)]
    long: bool,
    /// List only these nodes
    #[arg(short = 'g', long, alias = "group", value_name = "NODES")]
    nodes: Option<String>,
    /// Exclude these nodes
    #[arg(long, value_name = "NODES")]
    exclude: Option<String>,
    /// Print all nodes as one node set
    #[arg(long, conflicts_with_all = ["json", "long"])]
    fold: bool,
}

pub(crate) async fn run(args: NodesArgs, context: &mut Context<'_>) -> Result<u8> {
    let set = args.nodes.as_deref().unwrap_or_default();
    let exclude = args.exclude.as_deref().unwrap_or_default();
    if args.json {
        context.globals.output = OutputFormat::Json;
    }
    let connection = context.connect().await?;
    let nodes = match connection.list_nodes(set, exclude).await {
        Ok(nodes) => nodes,
        Err(error) => return Err(suggest::for_node(error, &connection).await),
    };
    if set.is_empty() && exclude.is_empty() {
        context.update_cache(|cache| cache.update_nodes(&nodes));
    }
    if context.is_json() {
        for node in &nodes {
            json::write(&node_object(node), context.output)?;
        }
        return Ok(0);
    }
    let lines = if args.fold {
        let set = fold(nodes.iter().map(|node| node.name.as_str()));
        if set.is_empty() {
            Vec::new()
        } else {
            vec![set]
        }
    } else if args.long {
        let head = ["NAME", "RANKS", "GROUPS", "METADATA"];
        table::with_head(head, nodes.iter().map(node_row))
    } else {
        nodes.into_iter().map(|node| node.name).collect()
    };
    for line in lines {
        context.output.safe_line(StdStream::Stdout, &line)?;
    }
    Ok(0)
}

/// The visible metadata in the order of their keys.
fn sorted_metadata(node: &Node) -> Vec<(&String, &String)> {
    let mut pairs: Vec<_> = node.metadata.iter().collect();
    pairs.sort_unstable();
    pairs
}

fn node_row(node: &Node) -> [String; 4] {
    let pairs = sorted_metadata(node)
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"));
    [
        node.name.clone(),
        or_dash(node.ranks.join(",")),
        or_dash(node.groups.join(",")),
        or_dash(pairs.collect::<Vec<_>>().join(" ")),
    ]
}

/// Refuses a first word that names nodes before `-g`: it is unclear on which of them to run.
pub(crate) async fn check_is_argument(word: &str, connection: &Connection) -> Result<()> {
    // An assignment is more likely an argument than a selection by attribute.
    if word.trim().is_empty() || word.contains('=') {
        return Ok(());
    }
    match connection.list_nodes(word, "").await {
        Ok(nodes) if nodes.is_empty() => Ok(()),
        Ok(_) => {
            let message = format!(
                "nodes are given twice: as `{}` and with -g",
                shown_set(word)
            );
            Err(CliError::usage(message)
                .hint("leave one of them out")
                .hint("if the first is an argument of the script, put -g before it: -g NODES ARG")
                .hint("if -g is the script's, put it behind `--`"))
        }
        // It is no node, or none that may be seen.
        Err(error) if error.kind() == ErrorKind::Refused => Ok(()),
        Err(error) => Err(error),
    }
}

fn node_object(node: &Node) -> Value {
    let pairs = sorted_metadata(node).into_iter();
    let metadata: Map<String, Value> = pairs
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect();
    json!({
        "event": "node",
        "name": node.name,
        "ranks": node.ranks,
        "groups": node.groups,
        "metadata": metadata,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_row_and_an_object() {
        let node = Node {
            name: "n1".into(),
            ranks: vec!["aws".into()],
            groups: vec!["a".into(), "b".into()],
            metadata: [("y", "2"), ("x", "1")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
        };
        assert_eq!(node_row(&node), ["n1", "aws", "a,b", "x=1 y=2"]);
        let expected = json!({"event": "node", "name": "n1", "ranks": ["aws"],
            "groups": ["a", "b"], "metadata": {"x": "1", "y": "2"}});
        assert_eq!(node_object(&node), expected);
        let bare = Node {
            name: "n2".into(),
            ..Node::default()
        };
        assert_eq!(node_row(&bare), ["n2", "-", "-", "-"]);
    }
}
