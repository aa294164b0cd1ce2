//! The LLRP Toolkit's recording: 934 messages of a reader and its client, and the same as XML. It is
//! read from beside the project; nothing of it is here.

use std::path::Path;

use basketd::wire::llrp::schema::{Field, Shape};
use basketd::wire::llrp::{Element, Framer, Message, Value, Version, check};

use crate::xml::{self, Node};

fn captured(name: &str) -> Option<Vec<u8>> {
    let path = Path::new("../shared/captures/llrp").join(name);
    let found = std::fs::read(&path).ok();
    if found.is_none() {
        println!("skipped: no {}", path.display());
    }
    found
}

fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut framer = Framer::default();
    framer.push(bytes);
    let mut messages = Vec::new();
    while let Some(message) = framer.pop().unwrap() {
        messages.push(message.to_vec());
    }
    assert_eq!(framer.waiting(), b"");
    messages
}

#[test]
fn a_recorded_conversation_comes_back_byte_for_byte() {
    let Some(bytes) = captured("dx101_a.bin") else {
        return;
    };
    let messages = messages(&bytes);
    assert_eq!(messages.len(), 934);
    for bytes in &messages {
        let message = Message::decode(bytes).unwrap();
        assert_eq!(&message.encode().unwrap(), bytes, "{}", message.name());
        assert_eq!(check::problems(&message.body), [], "{}", message.name());
    }
}

#[test]
fn a_recorded_conversation_says_what_its_xml_says() {
    let (Some(bytes), Some(text)) = (captured("dx101_a.bin"), captured("dx101_a.xml")) else {
        return;
    };
    let document = xml::read(std::str::from_utf8(&text).unwrap());
    let messages = messages(&bytes);
    assert_eq!(messages.len(), document.children.len());
    let mut compared = 0;
    for (bytes, node) in messages.iter().zip(&document.children) {
        let message = Message::decode(bytes).unwrap();
        assert_eq!(message.version, Version::V1_0_1);
        let id = node.attribute("MessageID").unwrap();
        assert_eq!(message.id.to_string(), id);
        compared += same(&message.body, node);
    }
    println!("{compared} fields agree");
    assert_eq!(compared, document.leaves());
}

impl Node {
    fn leaves(&self) -> usize {
        match &*self.children {
            [] if !self.name.contains('_') || self.name.contains("Bits") => 1,
            children => children.iter().map(Self::leaves).sum(),
        }
    }
}

/// Fields come first, then parameters, in the wire's order. Gives the number of fields.
fn same(element: &Element, node: &Node) -> usize {
    assert_eq!(element.name(), node.name);
    let mut nodes = node.children.iter().peekable();
    let mut compared = 0;
    for (field, value) in element.fields() {
        match nodes.next_if(|node| node.name == field.name) {
            Some(node) => {
                assert_eq!(told(field, value, node), node.text, "{}", node.name);
                compared += 1;
            }
            // Bits that 1.1 gave a meaning are reserved in 1.0.1.
            None => assert_eq!(value, &Value::Unsigned(0), "{}", field.name),
        }
    }
    for parameter in element.parameters() {
        compared += same(parameter, nodes.next().unwrap());
    }
    assert!(nodes.next().is_none(), "{}", node.name);
    compared
}

/// A value as the Toolkit writes it.
fn told(field: &Field, value: &Value, node: &Node) -> String {
    let list = |numbers: Vec<String>| numbers.join(" ");
    match value {
        Value::Unsigned(n) if field.enumeration.is_some() => {
            // A name of 1.0.1 may have become longer in 1.1.
            let names = field.enumeration.unwrap();
            match names.value_of(&node.text) {
                Some(value) if value == *n => node.text.clone(),
                _ => names.name_of(*n).unwrap().to_owned(),
            }
        }
        Value::Unsigned(n) if field.shape == Shape::Bits(1) => (*n == 1).to_string(),
        Value::Unsigned(n) if node.text.ends_with('Z') => basketd_time(i64::try_from(*n).unwrap()),
        Value::Unsigned(n) => n.to_string(),
        Value::Signed(n) => n.to_string(),
        Value::Text(text) => text.to_string(),
        Value::Words(words) => list(words.iter().map(u16::to_string).collect()),
        Value::DoubleWords(numbers) => list(numbers.iter().map(u32::to_string).collect()),
        Value::Bytes(bytes) if field.enumeration.is_some() => {
            let name = |byte: &u8| field.enumeration.unwrap().name_of((*byte).into()).unwrap();
            list(bytes.iter().map(|b| name(b).to_owned()).collect())
        }
        Value::Bytes(bytes) => bytes.iter().map(|b| format!("{b:02X}")).collect(),
        Value::Bits(bits) => bits.bytes().iter().map(|b| format!("{b:02X}")).collect(),
    }
}

fn basketd_time(us: i64) -> String {
    basketd::units::Timestamp::from_micros(us).to_string()
}
