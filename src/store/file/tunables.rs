//! The tables of tunables. Their keys, kinds and defaults are those of the structs in
//! `store::tunables`: a field that is added there can be set in the store file.

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer};

use super::fields::{Fields, Report, shown, unknown};
use crate::store::Tunables;
use crate::store::tunables::Range;

type Document<'t> = DeTable<'t>;

/// Takes the tables key by key, so that every refusal is reported.
pub(super) fn read(top: &mut Fields<'_>) -> Tunables {
    let report = top.report();
    let defaults = serde_json::to_value(Tunables::default()).expect("tunables are plain values");
    let mut document = Document::new();
    for (name, defaults) in defaults.as_object().into_iter().flatten() {
        let (Some(value), Some(defaults)) = (top.value(name), defaults.as_object()) else {
            continue;
        };
        let Some(table) = value.get_ref().as_table() else {
            let found = shown(value.get_ref());
            let shelves = "; shelves stand under a gondola, as [[gondola.shelf]]";
            let hint = if name == "shelf" { shelves } else { "" };
            let what = format!("`{name}`: found {found}; expected a table [{name}]{hint}");
            report.at(&value.span(), what);
            continue;
        };
        let known: Vec<&str> = defaults.keys().map(String::as_str).collect();
        for (key, value) in table {
            match defaults.get(key.get_ref().as_ref()) {
                None => unknown(key, &known, report),
                Some(default) => check(name, key, value, default, report),
            }
        }
        document.insert(spanned(DeString::from(name.clone())), value.clone());
    }
    // Where this fails, so did a key of its own above.
    deserialize(document).unwrap_or_default()
}

fn spanned<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

fn deserialize(document: Document<'_>) -> Result<Tunables, String> {
    Tunables::deserialize(Deserializer::from(spanned(document)))
        .map_err(|error| error.message().replace('\n', "; "))
}

/// Refuses a value that its field does not take; numbers are finite and within their [`Range`].
fn check<'t>(
    table: &str,
    key: &Spanned<DeString<'t>>,
    value: &Spanned<DeValue<'t>>,
    default: &serde_json::Value,
    report: &Report<'_>,
) {
    let mut fields = DeTable::new();
    fields.insert(key.clone(), value.clone());
    let mut document = Document::new();
    let name = spanned(DeString::from(table.to_owned()));
    document.insert(name, spanned(DeValue::Table(fields)));
    let refusal = deserialize(document).err();
    let number = match value.get_ref() {
        DeValue::Float(number) => number.as_str().parse().ok(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        _ => None,
    };
    let range = Range::of(
        table,
        key.get_ref().as_ref(),
        default.as_f64().unwrap_or(0.0),
    );
    let in_range = number.is_none_or(|number: f64| range.takes(number));
    if refusal.is_none() && in_range {
        return;
    }
    let wanted = match default {
        serde_json::Value::Number(n) if n.is_f64() => range.to_string(),
        serde_json::Value::Number(_) => "a whole number".to_owned(),
        serde_json::Value::Bool(_) => "true or false".to_owned(),
        serde_json::Value::String(_) => "a string".to_owned(),
        _ => refusal.unwrap_or_else(|| "another value".to_owned()),
    };
    let (key, found) = (key.get_ref(), shown(value.get_ref()));
    let what = format!("`{key}`: found {found}; expected {wanted} (default {default})");
    report.at(&value.span(), what);
}
