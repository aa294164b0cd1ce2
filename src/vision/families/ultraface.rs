//! UltraFace: every prior's scores (background first), and its box in shares of the image,
//! decoded in the network.

use super::{Family, RawDetection, Sink, Size, grid};
use crate::vision::backend::Tensor;

/// Strides and the number of priors in each of their cells.
const PRIORS: [(usize, usize); 4] = [(8, 3), (16, 2), (32, 2), (64, 3)];

#[derive(Debug)]
pub(super) struct UltraFace;

impl Family for UltraFace {
    fn name(&self) -> &'static str {
        "ultraface"
    }

    fn outputs(&self, input: Size, labels: usize) -> Vec<Vec<usize>> {
        let priors = PRIORS.map(|(stride, each)| {
            let (width, height) = grid(input, stride);
            width * height * each
        });
        let priors = priors.iter().sum();
        vec![vec![1, priors, 1 + labels], vec![1, priors, 4]]
    }

    fn decode(&self, outputs: &[Tensor<'_>], input: Size, sink: &mut Sink<'_>) {
        let [scores, boxes] = outputs else { return };
        let columns = scores.shape.last().map_or(1, |columns| (*columns).max(1));
        let (width, height) = (input.width as f32, input.height as f32);
        let rows = scores.data.chunks_exact(columns);
        for (scores, bbox) in rows.zip(boxes.data.chunks_exact(4)) {
            let (label, score) = sink.best(scores.iter().skip(1).copied());
            let &[x0, y0, x1, y1] = bbox else { return };
            if score < sink.threshold {
                continue;
            }
            sink.push(RawDetection {
                label,
                score,
                label_score: score,
                bbox: [x0 * width, y0 * height, x1 * width, y1 * height],
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_background_is_no_label() {
        let input = Size {
            width: 320,
            height: 240,
        };
        let tensor = |columns, data| Tensor {
            shape: vec![1, 2, columns],
            data,
        };
        let scores = tensor(2, &[0.99, 0.01, 0.2, 0.8]);
        let boxes = tensor(4, &[0.0, 0.0, 1.0, 1.0, 0.25, 0.5, 0.5, 1.0]);
        let mut found = Vec::new();
        let mut sink = Sink::new(0.7, &mut found);
        UltraFace.decode(&[scores, boxes], input, &mut sink);
        sink.finish().unwrap();
        let [one] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!((one.label, one.bbox), (0, [80.0, 120.0, 160.0, 240.0]));
    }
}
