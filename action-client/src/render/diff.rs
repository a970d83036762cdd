//! `--diff`: how each node's output differs from the most common one.

use crate::error::Result;
use crate::render::fold::print_header;
use crate::render::output::{OutputWriter, StdStream};
use crate::render::outputs::{KeptOutput, OutputGroups};
use crate::render::tally::Tally;
use crate::render::terminal::TerminalFilter;
use anstyle::AnsiColor;
use similar::{ChangeTag, TextDiff};
use std::time::Duration;

/// How long the shortest diff is looked for; past it a longer one is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints which output is the most common, and how the others differ from it.
pub(crate) fn print_diffs(
    outputs: &OutputGroups,
    tally: &Tally,
    output: &mut OutputWriter,
) -> Result<()> {
    let groups = outputs.by_output(tally);
    let Some(((most, common), others)) = groups.split_first() else {
        return Ok(());
    };
    let base = tally.named_set(most);
    let what = match others {
        [] => "all the same",
        _ => "the most common output",
    };
    print_header(&format!("{base}: {what}"), StdStream::Stdout, output)?;
    for (nodes, other) in others {
        let name = tally.named_set(nodes);
        for line in lines(&base, common, &name, other) {
            write_line(&line, output)?;
        }
    }
    Ok(())
}

/// The diff of both streams, without newlines at the ends.
fn lines(base: &str, common: &KeptOutput, name: &str, other: &KeptOutput) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let streams = [
        ("", &common.stdout, &other.stdout),
        (" stderr", &common.stderr, &other.stderr),
    ];
    for (stream, old, new) in streams.into_iter().filter(|(_, old, new)| old != new) {
        lines.push(format!("--- {base}{stream}").into_bytes());
        lines.push(format!("+++ {name}{stream}").into_bytes());
        let diff = TextDiff::configure()
            .timeout(PATIENCE)
            .diff_lines(old.as_slice(), new.as_slice());
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            lines.push(hunk.header().to_string().into_bytes());
            for change in hunk.iter_changes() {
                let sign = match change.tag() {
                    ChangeTag::Delete => b'-',
                    ChangeTag::Insert => b'+',
                    ChangeTag::Equal => b' ',
                };
                let text = change.value();
                let bare = text.strip_suffix(b"\n");
                let mut line = vec![sign];
                line.extend(bare.unwrap_or(text));
                lines.push(line);
                if bare.is_none() {
                    lines.push(b"\\ No newline at end of file".to_vec());
                }
            }
        }
    }
    for (who, kept) in [(base, common), (name, other)] {
        if kept.missing > 0 {
            let text = format!("\\ {who}: {} bytes more are not kept here", kept.missing);
            lines.push(text.into_bytes());
        }
    }
    lines
}

fn write_line(line: &[u8], output: &mut OutputWriter) -> Result<()> {
    let mut shown = Vec::with_capacity(line.len() + 8);
    let style = match line.first() {
        Some(b'+') => AnsiColor::Green.on_default(),
        Some(b'-') => AnsiColor::Red.on_default(),
        Some(b'@') => AnsiColor::Cyan.on_default(),
        _ => anstyle::Style::new(),
    };
    let is_coloured = output.is_coloured(StdStream::Stdout);
    if is_coloured {
        shown.extend(style.render().to_string().bytes());
    }
    if output.is_filtered(StdStream::Stdout) {
        let mut filter = TerminalFilter::default();
        filter.push(line, &mut shown);
        filter.finish(&mut shown);
        if !filter.style().is_empty() && !is_coloured {
            shown.extend(b"\x1b[0m");
        }
    } else {
        shown.extend(line);
    }
    if is_coloured {
        shown.extend(b"\x1b[0m");
    }
    shown.push(b'\n');
    output.write(StdStream::Stdout, &shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(stdout: &str, stderr: &str) -> KeptOutput {
        KeptOutput {
            stdout: stdout.into(),
            stderr: stderr.into(),
            missing: 0,
        }
    }

    fn diff(common: &KeptOutput, other: &KeptOutput) -> String {
        let lines = lines("n[1-2] (2)", common, "n3 (1)", other);
        let lines: Vec<_> = lines
            .iter()
            .map(|line| String::from_utf8_lossy(line))
            .collect();
        lines.join("\n")
    }

    #[test]
    fn both_streams_are_compared() {
        assert_eq!(
            diff(&kept("a\nb\nc\n", ""), &kept("a\nx\nc\n", "oh")),
            "--- n[1-2] (2)\n+++ n3 (1)\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n\
             --- n[1-2] (2) stderr\n+++ n3 (1) stderr\n@@ -0,0 +1 @@\n+oh\n\
             \\ No newline at end of file"
        );
        assert_eq!(diff(&kept("a", ""), &kept("a", "")), "");
    }
}
