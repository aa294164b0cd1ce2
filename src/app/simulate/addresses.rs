//! A store file whose sensors are reached elsewhere: the same text, other `source`s.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is to stand in a sensor's table, by table (`reader`, `scale`, `camera`, `gate`, `gondola`) and
/// id: keys with their values in TOML.
pub(super) type Addresses = BTreeMap<(&'static str, String), Vec<(&'static str, String)>>;

/// The text with these keys in place of those of the same name.
///
/// # Errors
///
/// The text is no TOML.
pub(super) fn rewritten(text: &str, addresses: &Addresses) -> Result<String, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string())?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    for ((kind, id), keys) in addresses {
        let listed = table
            .get_ref()
            .get(*kind)
            .and_then(|list| list.get_ref().as_array());
        let tables = listed.into_iter().flatten();
        for one in tables.filter(|one| is(one, id)) {
            edit(text, one, keys, &mut edits);
        }
    }
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut text = text.to_owned();
    for (span, with) in edits {
        text.replace_range(span, &with);
    }
    Ok(text)
}

fn is(table: &Spanned<DeValue<'_>>, id: &str) -> bool {
    let found = table.get_ref().as_table().and_then(|table| table.get("id"));
    found.and_then(|found| found.get_ref().as_str()) == Some(id)
}

/// Replaces the values of keys that stand there, and puts the others behind the id.
fn edit(
    text: &str,
    table: &Spanned<DeValue<'_>>,
    keys: &[(&'static str, String)],
    edits: &mut Vec<(Range<usize>, String)>,
) {
    let Some(entries) = table.get_ref().as_table() else {
        return;
    };
    let inline = text.as_bytes().get(table.span().start) == Some(&b'{');
    let mut more = String::new();
    for (key, value) in keys {
        match entries.get(*key) {
            Some(old) => edits.push((old.span(), value.clone())),
            None if inline => write!(more, ", {key} = {value}").expect("a string takes all text"),
            None => write!(more, "\n{key} = {value}").expect("a string takes all text"),
        }
    }
    if let (Some(id), false) = (entries.get("id"), more.is_empty()) {
        let end = id.span().end;
        edits.push((end..end, more));
    }
}

/// A string in TOML.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_change_and_nothing_else() {
        let text = "# A shop.\nscale = [{ id = \"p1\", shelf = \"s\" }]\n\n[[reader]]\nid = \"r1\"   # the first\n\
                    source = \"none\"\n\n[[reader]]\nid = \"r2\"\nantennas = []\n";
        let source = |address: &str| vec![("source", quoted(address))];
        let addresses = Addresses::from([
            (("reader", "r1".to_owned()), source("llrp://127.0.0.1:1")),
            (("reader", "r2".to_owned()), source("llrp://127.0.0.1:2")),
            (("reader", "r3".to_owned()), source("llrp://127.0.0.1:3")),
            (("scale", "p1".to_owned()), source("mqtt:a/\"b")),
        ]);
        let expected = "# A shop.\nscale = [{ id = \"p1\", source = \"mqtt:a/\\\"b\", shelf = \"s\" }]\n\n\
                        [[reader]]\nid = \"r1\"   # the first\nsource = \"llrp://127.0.0.1:1\"\n\n\
                        [[reader]]\nid = \"r2\"\nsource = \"llrp://127.0.0.1:2\"\nantennas = []\n";
        assert_eq!(rewritten(text, &addresses).as_deref(), Ok(expected));
        assert!(rewritten("[", &addresses).is_err());
    }
}
