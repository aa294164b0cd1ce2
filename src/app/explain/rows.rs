//! Lines of text: headings after a time, and rows below them, each broken where it is too long.

use std::fmt::Write as _;

/// Letters of a row's text.
const WIDTH: usize = 84;
/// The same of a heading, which begins where a row's word does.
const HEAD: usize = WIDTH + 9;

/// A text with its word before it, in as many lines as it takes.
pub(super) fn row(out: &mut String, word: &str, text: &str) {
    let mut word = word;
    for line in broken(text, WIDTH) {
        // Writing to a string never fails.
        writeln!(out, "            {word:<8} {line}").expect("a string takes all text");
        word = "";
    }
}

/// What happened, after its time.
pub(super) fn head(out: &mut String, time: &str, text: &str) {
    let mut time = time;
    for line in broken(text, HEAD) {
        writeln!(out, "{time:<10}  {line}").expect("a string takes all text");
        time = "";
    }
}

/// Lines after the first are set in.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for part in text.split(' ') {
        if line.chars().count() + part.chars().count() > width {
            lines.push(line.trim_end().to_owned());
            line = "    ".to_owned();
        }
        line.push_str(part);
        line.push(' ');
    }
    lines.push(line.trim_end().to_owned());
    lines
}
