//! Writes ONNX model files: just enough of the protobuf schema (onnx.proto3) for small graphs.

/// Bytes of a protobuf message.
#[derive(Debug, Default, Clone)]
struct Message(Vec<u8>);

impl Message {
    fn varint(mut self, field: u64, value: u64) -> Self {
        self.raw(field << 3);
        self.raw(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.raw(field << 3 | 2);
        self.raw(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    fn each<T>(self, items: &[T], add: impl Fn(Self, &T) -> Self) -> Self {
        items.iter().fold(self, add)
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

const FLOAT: u64 = 1;
const INT64: u64 = 7;

/// One graph with one input.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: Vec<Message>,
    weights: Vec<Message>,
    inputs: Vec<Message>,
    outputs: Vec<Message>,
}

/// An attribute of an operator.
#[derive(Debug)]
pub(crate) enum Attribute<'a> {
    Int(&'a str, i64),
    Ints(&'a str, &'a [i64]),
}

impl Graph {
    pub(crate) fn input(&mut self, name: &str, shape: &[usize]) {
        self.inputs.push(value_info(name, shape));
    }

    pub(crate) fn output(&mut self, name: &str, shape: &[usize]) {
        self.outputs.push(value_info(name, shape));
    }

    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        assert_eq!(shape.iter().product::<usize>(), values.len());
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.weights.push(tensor(name, shape, FLOAT, &raw));
    }

    pub(crate) fn ints(&mut self, name: &str, values: &[i64]) {
        let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.weights
            .push(tensor(name, &[values.len()], INT64, &raw));
    }

    pub(crate) fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[Attribute<'_>],
    ) {
        let node = Message::default()
            .each(inputs, |m, input| m.text(1, input))
            .text(2, output)
            .text(3, output)
            .text(4, op)
            .each(attributes, |m, one| m.bytes(5, &attribute(one).0));
        self.nodes.push(node);
    }

    /// The whole file.
    pub(crate) fn model(&self, name: &str) -> Vec<u8> {
        const IR_VERSION: u64 = 7;
        const OPSET: u64 = 13;
        let add = |field: u64| move |m: Message, one: &Message| m.bytes(field, &one.0);
        let graph = Message::default()
            .each(&self.nodes, add(1))
            .text(2, name)
            .each(&self.weights, add(5))
            .each(&self.inputs, add(11))
            .each(&self.outputs, add(12));
        let opset = Message::default().text(1, "").varint(2, OPSET);
        Message::default()
            .varint(1, IR_VERSION)
            .text(2, "basketd")
            .bytes(7, &graph.0)
            .bytes(8, &opset.0)
            .0
    }
}

fn tensor(name: &str, shape: &[usize], kind: u64, raw: &[u8]) -> Message {
    Message::default()
        .each(shape, |m, dim| m.varint(1, *dim as u64))
        .varint(2, kind)
        .text(8, name)
        .bytes(9, raw)
}

fn value_info(name: &str, shape: &[usize]) -> Message {
    let dims = Message::default().each(shape, |m, dim| {
        m.bytes(1, &Message::default().varint(1, *dim as u64).0)
    });
    let kind = Message::default().varint(1, FLOAT).bytes(2, &dims.0);
    let kind = Message::default().bytes(1, &kind.0);
    Message::default().text(1, name).bytes(2, &kind.0)
}

fn attribute(attribute: &Attribute<'_>) -> Message {
    const KIND_INT: u64 = 2;
    const KIND_INTS: u64 = 7;
    match attribute {
        Attribute::Int(name, value) => Message::default()
            .text(1, name)
            .varint(3, *value as u64)
            .varint(20, KIND_INT),
        Attribute::Ints(name, values) => Message::default()
            .text(1, name)
            .each(values, |m, v| m.varint(8, *v as u64))
            .varint(20, KIND_INTS),
    }
}
