//! Tables with aligned columns. Pure.

use crate::render::terminal::visible_text;

/// What stands for the rest of a cell.
const ELLIPSIS: &str = "...";

/// A text on one line: tabs and line breaks become blanks.
pub(crate) fn one_line(text: &str) -> String {
    text.replace("\r\n", " ").replace(['\n', '\t', '\r'], " ")
}

/// A text on one line, made safe to show, of at most `most` characters. A longer one ends in `...`.
pub(crate) fn bounded_text(text: &str, most: usize) -> String {
    // More than that cannot be shown; a text may be long.
    let start: String = text.chars().take(most + 1).collect();
    let shown = visible_text(&one_line(&start)).into_owned();
    if shown.chars().count() <= most {
        return shown;
    }
    let kept = shown.chars().take(most.saturating_sub(ELLIPSIS.len()));
    kept.chain(ELLIPSIS.chars()).collect()
}

/// A cell, or `-` for an empty one.
pub(crate) fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// A table with these headings.
pub(crate) fn with_head<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Vec<String> {
    let head = std::iter::once(head.map(str::to_owned));
    lay_out(&head.chain(rows).collect::<Vec<_>>())
}

/// Lays rows out in columns, two spaces apart.
pub(crate) fn lay_out<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let cells = |row: &[String; N]| row.each_ref().map(|cell| one_line(cell));
    let rows: Vec<[String; N]> = rows.iter().map(cells).collect();
    let width_of = |text: &String| text.chars().count();
    let mut widths = [0; N];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(width_of(cell));
        }
    }
    let lay = |row: &[String; N]| {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - width_of(cell) + 2));
        }
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(lay).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "long", ""], ["bc", "d", "e"]].map(|row| row.map(str::to_owned));
        assert_eq!(lay_out(&rows), ["a   long", "bc  d     e"]);
        assert!(lay_out::<2>(&[]).is_empty());
    }

    #[test]
    fn a_row_is_one_line() {
        let rows = [["a\tb\r\nc\nd", "e\rf"]].map(|row| row.map(str::to_owned));
        assert_eq!(lay_out(&rows), ["a b c d  e f"]);
    }

    #[test]
    fn long_texts_end_in_an_ellipsis() {
        assert_eq!(bounded_text("abcdefgh", 8), "abcdefgh");
        assert_eq!(bounded_text("abcdefghi", 8), "abcde...");
        assert_eq!(bounded_text("a\nb\tc", 8), "a b c");
        for character in ["\u{1b}", "\u{202e}", "\u{e9}", "\t", "a"] {
            let shown = bounded_text(&character.repeat(10_000), 20);
            assert_eq!(shown.chars().count(), 20, "{shown}");
            assert!(shown.ends_with("..."), "{shown}");
        }
    }
}
