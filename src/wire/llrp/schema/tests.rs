//! The table keeps its own rules, and has what the standard has.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_name_in_the_table_is_defined() {
    for definition in Definition::all() {
        for name in definition.slots.iter().flat_map(|slot| &slot.names) {
            // Both are members of one JSON object.
            assert_eq!(definition.position(name), None, "{name}");
            let found = Definition::find(name);
            assert!(found.is_some(), "{name} in {}", definition.name);
        }
        if let Some(response) = definition.response {
            assert!(Definition::find(response).is_some(), "{response}");
        }
    }
}

#[test]
fn fields_begin_at_bytes_and_reserved_bits_fill_them() {
    for definition in Definition::all() {
        let mut bits = 0_u32;
        for field in &definition.fields {
            match field.shape {
                Shape::Bits(n) => bits += u32::from(n),
                _ => assert_eq!(bits % 8, 0, "{}/{}", definition.name, field.name),
            }
        }
        assert_eq!(bits % 8, 0, "{}", definition.name);
        let whole = |f: &Field| f.shape != Shape::Rest;
        let last = definition.fields.len().saturating_sub(1);
        let early = definition.fields.get(..last).unwrap_or_default();
        assert!(early.iter().all(whole), "{}", definition.name);
    }
}

#[test]
fn parameters_without_a_length_have_a_fixed_one() {
    for definition in Definition::all().iter().filter(|d| d.is_tv()) {
        assert!(definition.slots.is_empty(), "{}", definition.name);
        let fixed = |f: &Field| {
            let shape = f.shape;
            matches!(
                shape,
                Shape::Unsigned(_) | Shape::Signed(_) | Shape::Fixed(_)
            )
        };
        assert!(definition.fields.iter().all(fixed), "{}", definition.name);
    }
}

#[test]
fn no_number_is_taken_twice() {
    let mut seen = BTreeSet::new();
    for definition in Definition::all() {
        let key = format!("{:?}", definition.kind);
        assert!(seen.insert(key), "{}", definition.name);
    }
}

/// Requests, responses and reports of both versions: 40 and the four about versions, the two of
/// client requests, and Impinj's four.
#[test]
fn the_table_is_whole() {
    let count = |f: fn(&&Definition) -> bool| Definition::all().iter().filter(f).count();
    assert_eq!(count(|d| matches!(d.kind, Kind::Message(_))), 46);
    assert_eq!(count(|d| matches!(d.kind, Kind::Parameter(_))), 123);
    assert_eq!(count(|d| matches!(d.kind, Kind::CustomMessage(..))), 4);
    let status = Definition::find("LLRPStatus").unwrap();
    let codes = status.fields[0].enumeration.unwrap();
    assert_eq!(codes.name_of(401), Some("R_DeviceError"));
    assert_eq!(codes.value_of("M_UnexpectedMessage"), Some(112));
}
