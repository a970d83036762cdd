//! Owns plain tables: columns that line up, nothing behind the last one. Pure.

/// Lays rows out in columns, two spaces apart.
pub(crate) fn lay_out<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width_of = |text: &String| text.chars().count();
    let mut widths = [0; N];
    for row in rows {
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
}
