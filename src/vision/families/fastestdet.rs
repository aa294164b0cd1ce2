//! FastestDet: one map at stride 16, channel by channel: objectness, `x y w h`, labels.

use super::{Family, RawDetection, Sink, Size, grid};
use crate::vision::backend::Tensor;

const STRIDE: usize = 16;

/// Channels before the labels.
const HEAD: usize = 5;

#[derive(Debug)]
pub(super) struct FastestDet;

impl Family for FastestDet {
    fn name(&self) -> &'static str {
        "fastestdet"
    }

    fn outputs(&self, input: Size, labels: usize) -> Vec<Vec<usize>> {
        let (width, height) = grid(input, STRIDE);
        vec![vec![1, HEAD + labels, height, width]]
    }

    fn decode(&self, outputs: &[Tensor<'_>], input: Size, sink: &mut Sink<'_>) {
        let [output] = outputs else { return };
        let (columns, rows) = grid(input, STRIDE);
        let channels: Vec<_> = output.data.chunks_exact((columns * rows).max(1)).collect();
        let [objectness, tx, ty, tw, th, labels @ ..] = &channels[..] else {
            return;
        };
        let (width, height) = (input.width as f32, input.height as f32);
        for (cell, objectness) in objectness.iter().enumerate() {
            let objectness = sink.score(*objectness);
            // The score of a sure label: no label can lift the cell over it.
            let sure = libm::powf(objectness, 0.6);
            if sure < sink.threshold {
                continue;
            }
            let (label, label_score) = sink.best(labels.iter().map(|channel| channel[cell]));
            let score = sure * libm::powf(label_score, 0.4);
            if score < sink.threshold {
                continue;
            }
            let (x, y) = ((cell % columns) as f32, (cell / columns) as f32);
            let cx = (x + libm::tanhf(tx[cell])) / columns as f32 * width;
            let cy = (y + libm::tanhf(ty[cell])) / rows as f32 * height;
            let half_w = sigmoid(tw[cell]) * width / 2.0;
            let half_h = sigmoid(th[cell]) * height / 2.0;
            sink.push(RawDetection {
                label,
                score,
                label_score,
                bbox: [cx - half_w, cy - half_h, cx + half_w, cy + half_h],
            });
        }
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_becomes_a_box() {
        let input = Size {
            width: 64,
            height: 32,
        };
        // Four columns, two rows, two labels; the thing is in the second row's third cell.
        let mut data = vec![0.0; 7 * 8];
        let cell = 6;
        data[cell] = 0.9;
        data[6 * 8 + cell] = 0.8;
        let output = Tensor {
            shape: vec![1, 7, 2, 4],
            data: &data,
        };
        let mut found = Vec::new();
        let mut sink = Sink::new(0.5, &mut found);
        FastestDet.decode(&[output], input, &mut sink);
        sink.finish().unwrap();
        assert_eq!(found.len(), 1);
        // Its centre at a half and at two quarters, its size a half of the picture.
        assert_eq!(
            (found[0].label, found[0].bbox),
            (1, [16.0, 8.0, 48.0, 24.0])
        );
        assert!((found[0].score - 0.8586).abs() < 1e-3, "{}", found[0].score);
    }
}
