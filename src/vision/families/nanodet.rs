//! NanoDet: at strides 8, 16 and 32 the labels' scores (through their sigmoid already), and the
//! distance to each side of the box as a distribution over whole strides.

use super::{Family, RawDetection, Sink, Size, grid};
use crate::vision::backend::Tensor;

const STRIDES: [usize; 3] = [8, 16, 32];

/// Distances of 0 to 7 strides.
const BINS: usize = 8;

const SIDES: usize = 4;

#[derive(Debug)]
pub(super) struct NanoDet;

impl Family for NanoDet {
    fn name(&self) -> &'static str {
        "nanodet"
    }

    fn outputs(&self, input: Size, labels: usize) -> Vec<Vec<usize>> {
        let cells = STRIDES
            .map(|stride| grid(input, stride))
            .map(|(w, h)| w * h);
        let scores = cells.map(|n| vec![1, n, labels]);
        let distances = cells.map(|n| vec![1, n, SIDES * BINS]);
        [scores, distances].concat()
    }

    fn decode(&self, outputs: &[Tensor<'_>], input: Size, sink: &mut Sink<'_>) {
        let Some((scores, distances)) = outputs.split_at_checked(STRIDES.len()) else {
            return;
        };
        for ((scores, distances), stride) in scores.iter().zip(distances).zip(STRIDES) {
            let (columns, _) = grid(input, stride);
            let labels = scores.shape.last().map_or(1, |labels| (*labels).max(1));
            let rows = scores.data.chunks_exact(labels);
            let rows = rows.zip(distances.data.chunks_exact(SIDES * BINS));
            for (cell, (scores, distances)) in rows.enumerate() {
                let (label, score) = sink.best(scores.iter().copied());
                if score < sink.threshold {
                    continue;
                }
                let cx = ((cell % columns) as f32 + 0.5) * stride as f32;
                let cy = ((cell / columns) as f32 + 0.5) * stride as f32;
                let mut sides = distances.chunks_exact(BINS).map(expectation);
                let mut side = || sides.next().unwrap_or(0.0) * stride as f32;
                let (left, top, right, bottom) = (side(), side(), side(), side());
                sink.push(RawDetection {
                    label,
                    score,
                    label_score: score,
                    bbox: [cx - left, cy - top, cx + right, cy + bottom],
                });
            }
        }
    }
}

/// The mean of a distribution that is given by the logits of 0, 1, 2, ….
fn expectation(logits: &[f32]) -> f32 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut mass, mut moment) = (0.0, 0.0);
    for (bin, logit) in logits.iter().enumerate() {
        let weight = libm::expf(logit - most);
        mass += weight;
        moment += weight * bin as f32;
    }
    moment / mass
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_becomes_a_box() {
        let input = Size {
            width: 32,
            height: 32,
        };
        let shapes = NanoDet.outputs(input, 2);
        let mut data: Vec<_> = shapes
            .iter()
            .map(|shape| vec![0.0; shape.iter().product()])
            .collect();
        // Stride 16, the upper right cell: sure distances of 0, 0, 0 and 1 strides.
        data[1][2 + 1] = 0.75;
        for (side, bin) in [0, 0, 0, 1].into_iter().enumerate() {
            data[4][SIDES * BINS + side * BINS + bin] = 100.0;
        }
        let outputs = shapes.iter().zip(&data).map(|(shape, data)| Tensor {
            shape: shape.clone(),
            data,
        });
        let outputs: Vec<_> = outputs.collect();
        let mut found = Vec::new();
        let mut sink = Sink::new(0.5, &mut found);
        NanoDet.decode(&outputs, input, &mut sink);
        sink.finish().unwrap();
        let [one] = found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (one.label, one.score, one.bbox),
            (1, 0.75, [24.0, 8.0, 24.0, 24.0])
        );
    }

    #[test]
    fn a_distance_is_the_mean_of_its_distribution() {
        assert!((expectation(&[0.0; 8]) - 3.5).abs() < 1e-6);
        assert!((expectation(&[0.0, 0.0, 900.0, 900.0, 0.0, 0.0, 0.0, 0.0]) - 2.5).abs() < 1e-6);
        assert!(expectation(&[f32::NAN; 8]).is_nan());
    }
}
