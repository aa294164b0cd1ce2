//! YOLOX with its raw grid: one row a cell, strides 8, 16 and 32, as `x y w h objectness labels…`;
//! scores are through their sigmoid already.

use super::{Family, RawDetection, Sink, Size, grid};
use crate::vision::backend::Tensor;

const STRIDES: [usize; 3] = [8, 16, 32];

/// Numbers in a row before the labels.
const HEAD: usize = 5;

#[derive(Debug)]
pub(super) struct Yolox;

impl Family for Yolox {
    fn name(&self) -> &'static str {
        "yolox"
    }

    fn outputs(&self, input: Size, labels: usize) -> Vec<Vec<usize>> {
        let rows = STRIDES
            .map(|stride| grid(input, stride))
            .map(|(w, h)| w * h);
        vec![vec![1, rows.iter().sum(), HEAD + labels]]
    }

    fn decode(&self, outputs: &[Tensor<'_>], input: Size, sink: &mut Sink<'_>) {
        let [output] = outputs else { return };
        let [_, _, columns] = output.shape[..] else {
            return;
        };
        let cells = STRIDES.into_iter().flat_map(|stride| {
            let (width, height) = grid(input, stride);
            (0..height).flat_map(move |y| (0..width).map(move |x| (x, y, stride)))
        });
        for (row, (x, y, stride)) in output.data.chunks_exact(columns.max(1)).zip(cells) {
            let [tx, ty, tw, th, objectness, labels @ ..] = row else {
                return;
            };
            let objectness = sink.score(*objectness);
            // No label's score can lift the product over it.
            if objectness < sink.threshold {
                continue;
            }
            let (label, label_score) = sink.best(labels.iter().copied());
            let score = objectness * label_score;
            if score < sink.threshold {
                continue;
            }
            let stride = stride as f32;
            let (cx, cy) = ((tx + x as f32) * stride, (ty + y as f32) * stride);
            let half_w = libm::expf(*tw) * stride / 2.0;
            let half_h = libm::expf(*th) * stride / 2.0;
            sink.push(RawDetection {
                label,
                score,
                label_score,
                bbox: [cx - half_w, cy - half_h, cx + half_w, cy + half_h],
            });
        }
    }
}
