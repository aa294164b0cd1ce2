//! Whether an element keeps the standard's manners, beyond what decoding asks: each parameter in
//! its place, in order, as often as it may be, and every enumeration's value known.

use super::element::{Element, Tag};
use super::schema::Definition;

/// What is against the standard, and in which element.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("{element} has no {parameter}")]
    Missing {
        element: &'static str,
        parameter: String,
    },
    #[error("{element} has {count} of {parameter}, and may have one")]
    TooMany {
        element: &'static str,
        parameter: String,
        count: usize,
    },
    #[error("{parameter} has no place in {element}")]
    OutOfPlace {
        element: &'static str,
        parameter: &'static str,
    },
    #[error("{parameter} in {element} stands before what comes after it")]
    OutOfOrder {
        element: &'static str,
        parameter: &'static str,
    },
    #[error("{element}: {field} is {value}, for which the standard has no name")]
    UnknownEntry {
        element: &'static str,
        field: &'static str,
        value: u64,
    },
    #[error("{element}: reserved bits are set")]
    Reserved { element: &'static str },
}

/// Everything in `element` and below it that is against the standard. Parameters that the table
/// does not have are not told: a newer standard may have them.
pub fn problems(element: &Element) -> Vec<Problem> {
    let mut found = Vec::new();
    collect(element, &mut found);
    found
}

fn collect(element: &Element, found: &mut Vec<Problem>) {
    if let Tag::Known(definition) = element.tag {
        found.extend(values(definition, element));
        found.extend(parameters(definition, &element.parameters));
        found.extend(order(definition, &element.parameters));
    }
    for parameter in &element.parameters {
        collect(parameter, found);
    }
}

fn values(definition: &'static Definition, element: &Element) -> impl Iterator<Item = Problem> {
    let name = definition.name;
    let fields = definition.fields.iter().zip(&element.values);
    fields.filter_map(move |(field, value)| {
        let number = value.as_u64()?;
        if field.name.is_empty() {
            return (number != 0).then_some(Problem::Reserved { element: name });
        }
        let unknown = field.enumeration?.name_of(number).is_none();
        unknown.then_some(Problem::UnknownEntry {
            element: name,
            field: field.name,
            value: number,
        })
    })
}

/// Parameters without a place, missing, or too many.
pub(super) fn parameters(
    definition: &'static Definition,
    parameters: &[Element],
) -> impl Iterator<Item = Problem> {
    let element = definition.name;
    let mut counts = vec![0; definition.slots.len()];
    let mut found = Vec::new();
    for own in parameters.iter().filter_map(Element::definition) {
        let parameter = own.name;
        match definition.slot_of(own) {
            Some(slot) => counts[slot] += 1,
            None => found.push(Problem::OutOfPlace { element, parameter }),
        }
    }
    for (slot, &count) in definition.slots.iter().zip(&counts) {
        let parameter = || slot.names.join(" or ");
        if count == 0 && slot.required {
            let parameter = parameter();
            found.push(Problem::Missing { element, parameter });
        } else if count > 1 && !slot.repeats {
            let parameter = parameter();
            found.push(Problem::TooMany {
                element,
                parameter,
                count,
            });
        }
    }
    found.into_iter()
}

fn order(definition: &'static Definition, parameters: &[Element]) -> Option<Problem> {
    let own = parameters.iter().filter_map(Element::definition);
    let placed = own.filter_map(|own| Some((definition.slot_of(own)?, own.name)));
    let mut last = 0;
    for (slot, parameter) in placed {
        // A Custom of a choice may stand among the Customs at the end, and they among those.
        if slot < last && parameter != "Custom" {
            let element = definition.name;
            return Some(Problem::OutOfOrder { element, parameter });
        }
        last = last.max(slot);
    }
    None
}
