//! The project's own model: no training, YOLOX's layout. It averages each cell of 8, 16 and 32
//! pixels and calls a cell a thing where it is bright, red or blue by which of the two is more.
//! Boxes are whole cells.

use super::onnx::{Attribute, Graph};

pub(crate) const SIDE: usize = 64;

/// Cells at strides 8, 16 and 32.
pub(crate) const CELLS: usize = 64 + 16 + 4;

/// What to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Scores are not numbers. The sigmoid is missing as well: tract's makes 1 of what is none.
    NotANumber,
    /// The last sigmoid is missing.
    Logits,
    /// A label more than there should be.
    Label,
}

pub(crate) fn model(fault: Fault) -> Vec<u8> {
    let labels = if fault == Fault::Label { 3 } else { 2 };
    let mut graph = Graph::default();
    graph.input("image", &[1, 3, SIDE, SIDE]);
    weights(&mut graph, fault, labels);
    let flat: Vec<_> = [8, 16, 32]
        .iter()
        .map(|stride| level(&mut graph, fault, *stride))
        .collect();
    let flat: Vec<_> = flat.iter().map(String::as_str).collect();
    graph.node("Concat", &flat, "cells", &[Attribute::Int("axis", 2)]);
    let swap = [Attribute::Ints("perm", &[0, 2, 1])];
    graph.node("Transpose", &["cells"], "output", &swap);
    graph.output("output", &[1, CELLS, 5 + labels]);
    graph.model("tiny")
}

/// The input is RGB, 0 to 1. A cell of one full colour has an objectness of sigmoid(10), a dark
/// one of sigmoid(-10); a box is its cell: centre 0.5, log of the size 0.
fn weights(graph: &mut Graph, fault: Fault, labels: usize) {
    const STEEP: f32 = 20.0;
    graph.floats("box.w", &[4, 3, 1, 1], &[0.0; 12]);
    graph.floats("box.b", &[4], &[0.5, 0.5, 0.0, 0.0]);
    let mut weights = vec![STEEP; 3];
    weights.extend([STEEP, 0.0, -STEEP]);
    weights.extend([-STEEP, 0.0, STEEP]);
    let mut bias = vec![-STEEP / 2.0, 0.0, 0.0];
    if fault == Fault::NotANumber {
        bias[0] = f32::NAN;
    }
    weights.resize(3 * (1 + labels), 0.0);
    bias.resize(1 + labels, 0.0);
    graph.floats("score.w", &[1 + labels, 3, 1, 1], &weights);
    graph.floats("score.b", &[1 + labels], &bias);
    graph.ints("flat", &[1, 5 + labels as i64, -1]);
}

fn level(graph: &mut Graph, fault: Fault, stride: i64) -> String {
    let named = |what: &str| format!("{what}{stride}");
    let (mean, boxes, logits) = (named("mean"), named("box"), named("logit"));
    let square = [stride, stride];
    let pool = [
        Attribute::Ints("kernel_shape", &square),
        Attribute::Ints("strides", &square),
    ];
    graph.node("AveragePool", &["image"], &mean, &pool);
    graph.node("Conv", &[&mean, "box.w", "box.b"], &boxes, &[]);
    graph.node("Conv", &[&mean, "score.w", "score.b"], &logits, &[]);
    let scores = if matches!(fault, Fault::Logits | Fault::NotANumber) {
        logits
    } else {
        graph.node("Sigmoid", &[&logits], &named("score"), &[]);
        named("score")
    };
    let axis = [Attribute::Int("axis", 1)];
    graph.node("Concat", &[&boxes, &scores], &named("head"), &axis);
    graph.node("Reshape", &[&named("head"), "flat"], &named("flat"), &[]);
    named("flat")
}
