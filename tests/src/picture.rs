//! A picture of a terminal: what programs printed, with its colours, as SVG.

use std::fmt::Write;

/// Width of a character, height of a line, and the frame around both, in pixels.
const CHARACTER: f64 = 8.4;
const LINE: usize = 19;
const FRAME: usize = 16;

/// The colours that SGR numbers from 30 and from 90, on a dark ground.
const COLOURS: [&str; 16] = [
    "#6e7681", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#c9d1d9",
    "#8b949e", "#ffa198", "#a5f3b0", "#f2cc60", "#a5d6ff", "#e2c5ff", "#b3f0ff", "#ffffff",
];

/// Draws lines, which may have colours (SGR) and nothing else that steers a terminal.
pub fn svg(text: &str) -> String {
    let lines: Vec<Vec<Span>> = text.lines().map(spans).collect();
    let length = |line: &Vec<Span>| line.iter().map(|it| it.text.chars().count()).sum::<usize>();
    let widest = lines.iter().map(length).max().unwrap_or(0);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a terminal is not that wide"
    )]
    let width = 2 * FRAME + (widest as f64 * CHARACTER).ceil() as usize;
    let height = 2 * FRAME + lines.len() * LINE;
    let mut drawn = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"a run in a terminal\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>\n\
         <g font-family=\"ui-monospace, Menlo, Consolas, monospace\" font-size=\"14\" \
         fill=\"#c9d1d9\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let y = FRAME + (number + 1) * LINE - 5;
        let _ = write!(drawn, "<text x=\"{FRAME}\" y=\"{y}\">");
        for span in line {
            let text = escaped(&span.text);
            let _ = match span.style() {
                style if style.is_empty() => write!(drawn, "{text}"),
                style => write!(drawn, "<tspan{style}>{text}</tspan>"),
            };
        }
        drawn.push_str("</text>\n");
    }
    drawn + "</g>\n</svg>\n"
}

/// What a picture shows, as text.
pub fn text(svg: &str) -> String {
    let shown = |line: &str| {
        let mut text = String::new();
        for part in line.split('<').skip(1) {
            text.push_str(part.split_once('>').map_or("", |(_, text)| text));
        }
        text.replace('\u{a0}', " ")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
            + "\n"
    };
    svg.lines()
        .filter(|line| line.starts_with("<text"))
        .map(shown)
        .collect()
}

/// Text in one style.
#[derive(Default)]
struct Span {
    text: String,
    colour: Option<&'static str>,
    bold: bool,
}

impl Span {
    fn style(&self) -> String {
        let colour = self.colour.map(|it| format!(" fill=\"{it}\""));
        let bold = self.bold.then_some(" font-weight=\"bold\"");
        colour.unwrap_or_default() + bold.unwrap_or_default()
    }
}

fn spans(line: &str) -> Vec<Span> {
    let mut parts = line.split("\u{1b}[");
    let mut spans = vec![Span {
        text: parts.next().unwrap_or_default().to_owned(),
        ..Span::default()
    }];
    for part in parts {
        let (codes, text) = part
            .split_once('m')
            .unwrap_or_else(|| panic!("not colour: {line:?}"));
        let last = spans.last().unwrap();
        let (mut colour, mut bold) = (last.colour, last.bold);
        for code in codes.split(';') {
            match code.parse().unwrap_or(0) {
                0 => (colour, bold) = (None, false),
                1 => bold = true,
                code @ 30..=37 => colour = Some(COLOURS[code - 30]),
                code @ 90..=97 => colour = Some(COLOURS[code - 82]),
                _ => {}
            }
        }
        let text = text.to_owned();
        spans.push(Span { text, colour, bold });
    }
    spans
}

/// Text of an element. Its blanks do not break, since SVG collapses ordinary ones.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace(' ', "\u{a0}")
}
