//! `--fold`: equal outputs once, under their nodes; stdout and stderr apart.

use crate::error::Result;
use crate::render::output::{OutputWriter, StdStream};
use crate::render::outputs::{OutputGroup, OutputGroups};
use crate::render::tally::Tally;
use crate::render::terminal::TerminalFilter;
use anstyle::Style;

pub(crate) fn print_groups(
    outputs: &OutputGroups,
    tally: &Tally,
    output: &mut OutputWriter,
) -> Result<()> {
    for group in outputs.groups(tally) {
        let kept = &group.output;
        // A group without any output is named too: no node may be missing.
        if !kept.stdout.is_empty() || kept.is_empty() {
            print_header(&group_header(&group, tally, ""), StdStream::Stdout, output)?;
            print_text(&kept.stdout, StdStream::Stdout, output)?;
        }
        if !kept.stderr.is_empty() {
            print_header(
                &group_header(&group, tally, "stderr"),
                StdStream::Stderr,
                output,
            )?;
            print_text(&kept.stderr, StdStream::Stderr, output)?;
        }
        if kept.missing > 0 {
            let line = format!(
                "{}: {} bytes more are not kept here; `action-client show` prints them",
                tally.named_set(&group.nodes),
                kept.missing
            );
            output.safe_line(StdStream::Stderr, &line)?;
        }
    }
    Ok(())
}

/// The header of a group, as in `node[01-08] (8)` or `node09 (1): exit 3, stderr`.
fn group_header(group: &OutputGroup<'_>, tally: &Tally, stream: &str) -> String {
    let what = match (group.label, group.reason.as_str()) {
        ("ok", reason) => reason.to_owned(),
        ("failed", reason) if !reason.is_empty() => reason.to_owned(),
        (label, "") => label.to_owned(),
        (label, reason) => format!("{label}: {reason}"),
    };
    let empty = if group.output.is_empty() {
        "no output"
    } else {
        ""
    };
    let notes: Vec<&str> = [what.as_str(), stream, empty]
        .into_iter()
        .filter(|note| !note.is_empty())
        .collect();
    let named = tally.named_set(&group.nodes);
    if notes.is_empty() {
        named
    } else {
        format!("{named}: {}", notes.join(", "))
    }
}

/// Prints a line that stands above others.
pub(super) fn print_header(text: &str, target: StdStream, output: &mut OutputWriter) -> Result<()> {
    let text = output.safe(target, text).into_owned();
    if output.is_coloured(target) {
        let bold = Style::new().bold();
        return output.line(target, &format!("{bold}{text}{bold:#}"));
    }
    output.line(target, &text)
}

/// Prints a whole output, with a newline at its end.
fn print_text(bytes: &[u8], target: StdStream, output: &mut OutputWriter) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    if output.is_filtered(target) {
        let mut filter = TerminalFilter::default();
        let mut shown = Vec::with_capacity(bytes.len());
        filter.push(bytes, &mut shown);
        filter.finish(&mut shown);
        if !filter.style().is_empty() {
            shown.extend(b"\x1b[0m");
        }
        output.write(target, &shown)?;
    } else {
        output.write(target, bytes)?;
    }
    if bytes.ends_with(b"\n") {
        return Ok(());
    }
    output.write(target, b"\n")
}

#[cfg(test)]
#[path = "fold_tests.rs"]
mod tests;
