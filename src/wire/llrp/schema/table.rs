//! Reads the table's own notation, which its head explains. The table is part of the program: what
//! is wrong in it stops the tests, not a shop.

use std::collections::BTreeMap;

use super::{Definition, Enumeration, Field, Kind, Schema, Shape, Slot};

type Lines = std::iter::Peekable<std::str::Lines<'static>>;
type Enumerations = BTreeMap<&'static str, &'static Enumeration>;
type Choices = BTreeMap<&'static str, Vec<&'static str>>;

/// # Panics
///
/// Where the table breaks its own rules; a test reads all of it.
pub(super) fn read(text: &'static str) -> Schema {
    let blocks = blocks(text);
    let (enumerations, choices) = shared(&blocks);
    let definitions: Vec<Definition> = blocks
        .iter()
        .filter(|block| !matches!(block.head[0], "enumeration" | "choice"))
        .map(|block| definition(block, &enumerations, &choices))
        .collect();
    index(Box::leak(definitions.into_boxed_slice()))
}

/// A head and what is indented below it.
struct Block {
    head: Vec<&'static str>,
    items: Vec<&'static str>,
    slots: Vec<&'static str>,
}

fn blocks(text: &'static str) -> Vec<Block> {
    let mut lines: Lines = text.lines().peekable();
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (mut items, mut slots) = (Vec::new(), Vec::new());
        while let Some(body) = lines.next_if(|line| line.starts_with("  ")) {
            match body.trim_start().strip_prefix('|') {
                Some(rest) => slots.extend(rest.split_whitespace()),
                None => items.extend(body.split_whitespace()),
            }
        }
        let head = line.split_whitespace().collect();
        blocks.push(Block { head, items, slots });
    }
    blocks
}

fn shared(blocks: &[Block]) -> (Enumerations, Choices) {
    let (mut enumerations, mut choices) = (Enumerations::new(), Choices::new());
    for block in blocks {
        let name = block.head[1];
        match block.head[0] {
            "enumeration" => {
                let entries = entries(&block.items);
                let leaked = Box::leak(Box::new(Enumeration { name, entries }));
                enumerations.insert(name, leaked);
            }
            "choice" => drop(choices.insert(name, block.items.clone())),
            _ => {}
        }
    }
    (enumerations, choices)
}

fn entries(items: &[&'static str]) -> Vec<(u64, &'static str)> {
    let mut next = 0;
    let entry = |item: &&'static str| {
        let (value, name) = match item.split_once('=') {
            Some((value, name)) => (number(value), name),
            None => (next, *item),
        };
        next = value + 1;
        (value, name)
    };
    items.iter().map(entry).collect()
}

fn definition(block: &Block, enumerations: &Enumerations, choices: &Choices) -> Definition {
    let head = &block.head;
    let first = || number(head[1]);
    let second = || number(head[2]);
    let narrow = |n: u64| u16::try_from(n).expect("types have ten bits");
    let vendor = || u32::try_from(first()).expect("a vendor has 32 bits");
    let (kind, name, clause) = match head[0] {
        "message" => (Kind::Message(narrow(first())), head[2], Some(head[3])),
        "parameter" => (Kind::Parameter(narrow(first())), head[2], Some(head[3])),
        "custom-message" => {
            let subtype = u8::try_from(second()).expect("a message's subtype has eight bits");
            (Kind::CustomMessage(vendor(), subtype), head[3], None)
        }
        "custom-parameter" => {
            let subtype = u32::try_from(second()).expect("a subtype has 32 bits");
            (Kind::CustomParameter(vendor(), subtype), head[3], None)
        }
        other => panic!("`{other}` is no word of the table"),
    };
    let arrow = head.iter().position(|word| *word == "->");
    Definition {
        name,
        kind,
        clause: clause.filter(|clause| *clause != "-"),
        fields: block.items.iter().map(|i| field(i, enumerations)).collect(),
        slots: block.slots.iter().map(|item| slot(item, choices)).collect(),
        response: arrow.map(|at| head[at + 1]),
    }
}

fn field(item: &'static str, enumerations: &Enumerations) -> Field {
    let (name, shape) = item.split_once(':').expect("a field is NAME:TYPE");
    let (shape, named) = match shape.split_once('=') {
        Some((shape, named)) => (shape, Some(named)),
        None => (shape, None),
    };
    if name == "_" {
        let bits = u8::try_from(number(shape)).expect("reserved bits are few");
        return reserved(bits);
    }
    Field {
        name,
        shape: self::shape(shape),
        enumeration: named.map(|n| {
            *enumerations
                .get(n)
                .expect("the enumeration is in the table")
        }),
    }
}

fn reserved(bits: u8) -> Field {
    Field {
        name: "",
        shape: Shape::Bits(bits),
        enumeration: None,
    }
}

fn shape(text: &str) -> Shape {
    match text {
        "u1" => Shape::Bits(1),
        "u2" => Shape::Bits(2),
        "u8" => Shape::Unsigned(1),
        "u16" => Shape::Unsigned(2),
        "u32" => Shape::Unsigned(4),
        "u64" => Shape::Unsigned(8),
        "s8" => Shape::Signed(1),
        "s16" => Shape::Signed(2),
        "s32" => Shape::Signed(4),
        "u96" => Shape::Fixed(12),
        "u1v" => Shape::BitArray,
        "u8v" => Shape::Array(1),
        "u16v" => Shape::Array(2),
        "u32v" => Shape::Array(4),
        "x16v" => Shape::Words,
        "utf8v" => Shape::Text,
        "bytes" => Shape::Rest,
        other => panic!("`{other}` is no type of the table"),
    }
}

fn slot(item: &'static str, choices: &Choices) -> Slot {
    let names = item.trim_end_matches(['?', '*', '+']);
    let names = match names.strip_prefix('@') {
        Some(choice) => choices[choice].clone(),
        None => names.split('/').collect(),
    };
    Slot {
        names,
        required: !item.ends_with(['?', '*']),
        repeats: item.ends_with(['*', '+']),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number of the table")
}

fn index(definitions: &'static [Definition]) -> Schema {
    let mut schema = Schema {
        definitions,
        parameters: vec![None; 1024],
        ..Schema::default()
    };
    for definition in definitions {
        let twice = schema.by_name.insert(definition.name, definition);
        assert!(twice.is_none(), "{} is defined twice", definition.name);
        match definition.kind {
            Kind::Message(number) => drop(schema.messages.insert(number, definition)),
            Kind::Parameter(number) => schema.parameters[usize::from(number)] = Some(definition),
            Kind::CustomMessage(vendor, subtype) => {
                schema.custom_messages.insert((vendor, subtype), definition);
            }
            Kind::CustomParameter(vendor, subtype) => {
                let key = (vendor, subtype);
                schema.custom_parameters.insert(key, definition);
            }
        }
    }
    schema
}
