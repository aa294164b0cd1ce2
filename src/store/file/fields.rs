//! Reading TOML tables key by key: what was asked for is what is known, so that every other key
//! can be refused with the nearest known one. Nothing stops at the first problem.

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::gs1::Gtin;
use crate::store::problem::{Place, Problem, nearest};
use crate::units::Point;

pub(super) type Span = Range<usize>;

/// Coordinates beyond are mistyped; their products stay finite.
const FARTHEST: f64 = 1e6;

/// The problems found so far in one store file and its lists.
pub(super) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Report<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let problems = RefCell::default();
        Self {
            file,
            text,
            problems,
        }
    }

    /// A problem at a place of the store file.
    pub(super) fn at(&self, span: &Span, what: impl Into<String>) {
        self.push(Problem {
            file: self.file.to_owned(),
            place: self.place(span),
            what: what.into(),
        });
    }

    pub(super) fn push(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    pub(super) fn place(&self, span: &Span) -> Place {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        let before = String::from_utf8_lossy(before);
        // Some editors write a byte order mark; no editor counts it as a column.
        let before = before.trim_start_matches('\u{feff}');
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Place::LineColumn(line as u64, column as u64)
    }

    /// `line 12`, for messages that point to a second place.
    pub(super) fn line(&self, span: &Span) -> String {
        match self.place(span) {
            Place::LineColumn(line, _) | Place::Line(line) => format!("line {line}"),
            Place::File => self.file.to_owned(),
        }
    }

    /// All problems, those of the store file first, in the order of places.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        let own = |problem: &Problem| problem.file != self.file;
        problems.sort_by(|a, b| (own(a), a).cmp(&(own(b), b)));
        problems
    }
}

/// Why a value was not taken.
pub(super) struct Refused {
    span: Span,
    what: String,
}

impl Refused {
    fn new(value: &Spanned<DeValue<'_>>, what: impl Into<String>) -> Self {
        Self {
            span: value.span(),
            what: what.into(),
        }
    }

    fn expected(value: &Spanned<DeValue<'_>>, wanted: &str) -> Self {
        let found = shown(value.get_ref());
        Self::new(value, format!("found {found}; expected {wanted}"))
    }
}

/// A value as it stands, short.
pub(super) fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{}\"", text.chars().take(60).collect::<String>()),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(time) => format!("the date {time}"),
        DeValue::Array(values) => format!("an array of {}", values.len()),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// A type that a key's value can have.
pub(super) trait Value<'t>: Sized {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused>;
}

impl<'t> Value<'t> for &'t str {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let text = value.get_ref().as_str();
        text.ok_or_else(|| Refused::expected(value, "a string"))
    }
}

impl<'t> Value<'t> for String {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        <&str>::read(value).map(str::to_owned)
    }
}

impl<'t> Value<'t> for bool {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let yes = value.get_ref().as_bool();
        yes.ok_or_else(|| Refused::expected(value, "true or false"))
    }
}

impl<'t> Value<'t> for f64 {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let number: Option<Self> = match value.get_ref() {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| Refused::expected(value, "a number"))?;
        if number.abs() <= FARTHEST {
            Ok(number)
        } else {
            Err(Refused::expected(value, "a number from -1e6 to 1e6"))
        }
    }
}

/// A whole number of at least `LEAST` and at most `MOST`.
pub(super) struct Whole<const LEAST: u64, const MOST: u64>(pub(super) u64);

impl<'t, const LEAST: u64, const MOST: u64> Value<'t> for Whole<LEAST, MOST> {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let number = match value.get_ref() {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        };
        let number = number.filter(|n| (LEAST..=MOST).contains(n));
        let wanted = || format!("a whole number from {LEAST} to {MOST}");
        number
            .map(Self)
            .ok_or_else(|| Refused::expected(value, &wanted()))
    }
}

impl<'t> Value<'t> for Point {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let pair = <[f64; 2]>::read(value)?;
        Ok(Self::new(pair[0], pair[1]))
    }
}

impl<'t> Value<'t> for Gtin {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let Some(text) = value.get_ref().as_str() else {
            let wanted = "a string of 8, 12, 13 or 14 digits";
            return Err(Refused::expected(value, wanted));
        };
        text.parse()
            .map_err(|refusal: crate::gs1::GtinError| Refused::new(value, refusal.to_string()))
    }
}

impl<'t, T: Value<'t>> Value<'t> for Vec<T> {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let values = value.get_ref().as_array();
        let values = values.ok_or_else(|| Refused::expected(value, "an array"))?;
        values.iter().map(T::read).collect()
    }
}

impl<'t, T: Value<'t>, const N: usize> Value<'t> for [T; N] {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        let wanted = || Refused::expected(value, &format!("an array of {N}"));
        let values = value.get_ref().as_array().ok_or_else(wanted)?;
        let values: Vec<T> = values.iter().map(T::read).collect::<Result<_, _>>()?;
        values.try_into().map_err(|_wrong_length: Vec<T>| wanted())
    }
}

impl<'t, T: Value<'t>> Value<'t> for Spanned<T> {
    fn read(value: &'t Spanned<DeValue<'t>>) -> Result<Self, Refused> {
        Ok(Self::new(value.span(), T::read(value)?))
    }
}

/// A table whose keys are being asked for.
pub(super) struct Fields<'t> {
    /// As messages name it: `[[zone]]`.
    name: &'static str,
    span: Span,
    entries: &'t DeTable<'t>,
    asked: Vec<String>,
    report: &'t Report<'t>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(
        name: &'static str,
        span: Span,
        entries: &'t DeTable<'t>,
        report: &'t Report<'t>,
    ) -> Self {
        Self {
            name,
            span,
            entries,
            asked: Vec::new(),
            report,
        }
    }

    pub(super) fn report(&self) -> &'t Report<'t> {
        self.report
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// A problem of the whole table.
    pub(super) fn problem(&self, what: impl Into<String>) {
        self.report.at(&self.span, what);
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// `None` where the key is absent, and where its value was refused and reported.
    pub(super) fn optional<T: Value<'t>>(&mut self, key: &'static str) -> Option<T> {
        match T::read(self.value(key)?) {
            Ok(value) => Some(value),
            Err(refused) => {
                let what = format!("`{key}`: {}", refused.what);
                self.report.at(&refused.span, what);
                None
            }
        }
    }

    /// `None` where the key is absent or refused; both are reported.
    pub(super) fn required<T: Value<'t>>(&mut self, key: &'static str) -> Option<T> {
        if !self.has(key) {
            self.problem(format!("{} has no `{key}`", self.name));
        }
        self.optional(key)
    }

    /// A table of its own under this key.
    pub(super) fn table(&mut self, key: &'static str, name: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        let table = value.get_ref().as_table();
        if table.is_none() {
            let found = shown(value.get_ref());
            let what = format!("`{key}`: found {found}; expected a table {name}");
            self.report.at(&value.span(), what);
        }
        Some(Self::new(name, value.span(), table?, self.report))
    }

    /// The tables of an array of tables; none where the key is absent.
    pub(super) fn tables(&mut self, key: &'static str, name: &'static str) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let refuse = |value: &Spanned<DeValue<'_>>| {
            let found = shown(value.get_ref());
            let what = format!("`{key}`: found {found}; expected {name}");
            self.report.at(&value.span(), what);
        };
        let Some(values) = value.get_ref().as_array() else {
            refuse(value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in values {
            match value.get_ref().as_table() {
                Some(table) => tables.push(Self::new(name, value.span(), table, self.report)),
                None => refuse(value),
            }
        }
        tables
    }

    /// The value as it stands, for readers of their own.
    pub(super) fn value(&mut self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.asked.iter().any(|asked| asked == key) {
            self.asked.push(key.to_owned());
        }
        self.entries.get(key)
    }

    /// Refuses all keys that were not asked for.
    pub(super) fn finish(self) {
        let asked: Vec<&str> = self.asked.iter().map(String::as_str).collect();
        for key in self.entries.keys() {
            unknown(key, &asked, self.report);
        }
    }
}

/// Refuses a key that is not among the known ones.
pub(super) fn unknown(
    key: &Spanned<std::borrow::Cow<'_, str>>,
    known: &[&str],
    report: &Report<'_>,
) {
    let word = key.get_ref();
    if !known.contains(&word.as_ref()) {
        let hint = nearest(word, known.iter().copied());
        let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let word: String = word.chars().take(60).collect();
        report.at(&key.span(), format!("unknown key `{word}`{hint}"));
    }
}
