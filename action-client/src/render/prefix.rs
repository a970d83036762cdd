//! The node's name before a line of output: aligned and coloured on a terminal.

use crate::render::output::{OutputWriter, StdStream};
use anstyle::{AnsiColor, Style};

/// Names are aligned up to this width; longer ones would leave too little room.
const WIDEST: usize = 24;

/// Colours that can be read on dark and light and are not those of errors.
const COLOURS: [AnsiColor; 6] = [
    AnsiColor::Cyan,
    AnsiColor::Green,
    AnsiColor::Magenta,
    AnsiColor::Blue,
    AnsiColor::Yellow,
    AnsiColor::BrightCyan,
];

/// How wide the names of these nodes are made.
pub(super) fn names_width(nodes: &[String]) -> usize {
    let widths = nodes.iter().map(|node| node.chars().count());
    widths.max().unwrap_or(0).min(WIDEST)
}

/// The text before each line of a node's output there.
pub(super) fn prefix_of(
    node: &str,
    width: usize,
    target: StdStream,
    output: &OutputWriter,
) -> Vec<u8> {
    let name = output.safe(target, node);
    let padding = if output.is_terminal(target) {
        width.saturating_sub(name.chars().count())
    } else {
        0
    };
    let text = if output.is_coloured(target) {
        let style = node_style(node);
        format!("{style}{name}:{style:#}{:padding$} ", "")
    } else {
        format!("{name}:{:padding$} ", "")
    };
    text.into_bytes()
}

/// The same for a node in every run. Nodes that are counted up get different ones.
fn node_style(node: &str) -> Style {
    let sum = node.bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    COLOURS[sum % COLOURS.len()].on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_aligned_where_people_read() {
        let nodes = ["n1".to_owned(), "login1".to_owned()];
        let width = names_width(&nodes);
        let (terminal, _) = OutputWriter::memory(true);
        let (pipe, _) = OutputWriter::memory(false);
        assert_eq!(
            prefix_of("n1", width, StdStream::Stdout, &terminal),
            b"n1:     "
        );
        assert_eq!(
            prefix_of("login1", width, StdStream::Stdout, &terminal),
            b"login1: "
        );
        assert_eq!(prefix_of("n1", width, StdStream::Stdout, &pipe), b"n1: ");
        assert_eq!(names_width(&["x".repeat(64)]), WIDEST);
    }

    #[test]
    fn colours_stay_with_their_nodes_and_differ_among_neighbours() {
        let styles: Vec<Style> = (1..=6).map(|n| node_style(&format!("node{n}"))).collect();
        for (place, one) in styles.iter().enumerate() {
            assert!(!styles[place + 1..].contains(one));
        }
        assert_eq!(node_style("node1"), styles[0]);
    }
}
