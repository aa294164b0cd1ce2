//! What is wrong with a store file or its lists, and where.

use std::fmt;

/// One thing that an installer has to put right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// As the store file names it.
    pub file: String,
    pub place: Place,
    /// What was found, and what is allowed.
    pub what: String,
}

/// Where in a file; lines and columns (in characters) count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    File,
    Line(u64),
    LineColumn(u64, u64),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, place, what } = self;
        match place {
            Place::File => write!(f, "{file}: ")?,
            Place::Line(line) => write!(f, "{file}:{line}: ")?,
            Place::LineColumn(line, column) => write!(f, "{file}:{line}:{column}: ")?,
        }
        // What was found may hold anything; a problem is one line of plain text.
        for c in what.chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// The known word that is nearest to one that is not known; the first of equals.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known.into_iter().min_by_key(|one| distance(word, one))
}

/// Letters to insert, delete, replace or swap with their neighbour, whatever their case.
pub fn distance(a: &str, b: &str) -> usize {
    let letters = |text: &str| text.chars().flat_map(char::to_lowercase).take(64).collect();
    let (a, b): (Vec<char>, Vec<char>) = (letters(a), letters(b));
    let mut before_last = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_meant() {
        let known = ["facings", "height", "id"];
        for (word, meant) in [("facing", "facings"), ("hieght", "height"), ("ID", "id")] {
            assert_eq!(nearest(word, known), Some(meant));
        }
        assert_eq!(distance("hieght", "height"), 1);
        assert_eq!(distance("", "id"), 2);
        assert_eq!(nearest("x", []), None);
    }
}
