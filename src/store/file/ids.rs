//! Ids of one kind: well formed, each once, and found again by those who refer to them.

use std::collections::BTreeMap;

use toml::Spanned;

use super::fields::{Fields, Report, Span};
use crate::store::problem::nearest;

/// The ids of one kind, numbered in the order of the file. Something whose own id is refused has
/// a number, too, so that numbers and tables stay in step.
pub(super) struct Ids<'t> {
    kind: &'static str,
    numbers: BTreeMap<&'t str, (u16, Span)>,
    count: usize,
}

impl<'t> Ids<'t> {
    pub(super) fn new(kind: &'static str) -> Self {
        Self {
            kind,
            numbers: BTreeMap::new(),
            count: 0,
        }
    }

    /// Takes the `id` of the next thing of this kind. An empty id has been reported.
    pub(super) fn declare(&mut self, fields: &mut Fields<'t>) -> String {
        let number = u16::try_from(self.count);
        self.count += 1;
        let number = number.unwrap_or_else(|_| {
            fields.problem(format!("more than 65536 of {}", self.kind));
            0
        });
        let Some(id) = fields.required::<Spanned<&str>>("id") else {
            return String::new();
        };
        let text = *id.get_ref();
        check_id(text, &id.span(), fields.report());
        if let Some((_, first)) = self.numbers.get(text) {
            let first = fields.report().line(first);
            let what = format!("a second {} `{text}`; the first is in {first}", self.kind);
            fields.report().at(&id.span(), what);
        } else {
            self.numbers.insert(text, (number, id.span()));
        }
        text.to_owned()
    }

    /// The number of the one that is referred to.
    pub(super) fn resolve(&self, id: &Spanned<&str>, report: &Report<'_>) -> Option<u16> {
        if let Some((number, _)) = self.numbers.get(id.get_ref()) {
            return Some(*number);
        }
        let hint = match nearest(id.get_ref(), self.numbers.keys().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the file has no {}", self.kind),
        };
        let shown: String = id.get_ref().chars().take(63).collect();
        report.at(&id.span(), format!("no {} `{shown}`; {hint}", self.kind));
        None
    }

    /// The number of the one that a required key refers to.
    pub(super) fn reference(&self, fields: &mut Fields<'t>, key: &'static str) -> Option<u16> {
        let id = fields.required(key)?;
        self.resolve(&id, fields.report())
    }
}

/// Refuses an id that is not of the form that topics and event ids can hold.
pub(super) fn check_id(id: &str, span: &Span, report: &Report<'_>) {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let first = id.bytes().next().is_some_and(plain);
    if !first || id.len() > 63 || !id.bytes().all(|c| plain(c) || c == b'-') {
        let shown: String = id.chars().take(70).collect();
        let what =
            format!("`id`: found \"{shown}\"; expected 1 to 63 of a-z, 0-9 and -, the first no -");
        report.at(span, what);
    }
}
