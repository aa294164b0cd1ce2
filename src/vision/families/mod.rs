//! How the outputs of a kind of network become boxes. A new family is a file here and a line in
//! [`FAMILIES`].

use std::fmt;

use super::backend::Tensor;

mod fastestdet;
mod nanodet;
mod ultraface;
mod yolox;

/// Every family that a manifest may name.
pub const FAMILIES: &[&dyn Family] = &[
    &yolox::Yolox,
    &fastestdet::FastestDet,
    &nanodet::NanoDet,
    &ultraface::UltraFace,
];

/// A network's input, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    pub width: usize,
    pub height: usize,
}

/// A kind of network.
pub trait Family: Sync + fmt::Debug {
    /// As manifests write it.
    fn name(&self) -> &'static str;

    /// The shapes of its outputs for an input of this size and so many labels, in the order in
    /// which [`Family::decode`] takes them.
    fn outputs(&self, input: Size, labels: usize) -> Vec<Vec<usize>>;

    /// Adds every box whose score reaches `sink.threshold`. The outputs have the shapes that
    /// [`Family::outputs`] gave.
    fn decode(&self, outputs: &[Tensor<'_>], input: Size, sink: &mut Sink<'_>);
}

/// One box as the network gave it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RawDetection {
    pub label: usize,
    /// 0 to 1.
    pub score: f32,
    /// How sure the network is of the label, given that something is there; 0 to 1.
    pub label_score: f32,
    /// x0, y0, x1, y1 in pixels of the network's input.
    pub bbox: [f32; 4],
}

/// Takes a decoder's boxes and watches its numbers.
#[derive(Debug)]
pub struct Sink<'a> {
    pub threshold: f32,
    found: &'a mut Vec<RawDetection>,
    faults: Faults,
}

/// Numbers that no detector can mean.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    scores_seen: usize,
    not_finite: usize,
    out_of_range: usize,
    /// The first score out of range.
    example: f32,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.scores_seen;
        if self.not_finite > 0 {
            return write!(
                f,
                "{} numbers among {seen} scores are not finite",
                self.not_finite
            );
        }
        let (wrong, example) = (self.out_of_range, self.example);
        write!(
            f,
            "{wrong} of {seen} scores are not between 0 and 1 (such as {example}): raw logits?"
        )
    }
}

impl<'a> Sink<'a> {
    pub fn new(threshold: f32, found: &'a mut Vec<RawDetection>) -> Self {
        Self {
            threshold,
            found,
            faults: Faults::default(),
        }
    }

    /// A score as it should be: between 0 and 1, a rounding error aside. Others are counted and
    /// come back as 0.
    pub fn score(&mut self, score: f32) -> f32 {
        const SLACK: f32 = 1e-3;
        self.faults.scores_seen += 1;
        if (0.0..=1.0).contains(&score) {
            score
        } else if (-SLACK..=1.0 + SLACK).contains(&score) {
            score.clamp(0.0, 1.0)
        } else {
            if score.is_finite() {
                if self.faults.out_of_range == 0 {
                    self.faults.example = score;
                }
                self.faults.out_of_range += 1;
            } else {
                self.faults.not_finite += 1;
            }
            0.0
        }
    }

    /// The best of some labels' scores: `(label, score)`.
    pub fn best(&mut self, scores: impl Iterator<Item = f32>) -> (usize, f32) {
        let mut best = (0, 0.0);
        for (label, score) in scores.enumerate() {
            let score = self.score(score);
            if score > best.1 {
                best = (label, score);
            }
        }
        best
    }

    pub fn push(&mut self, detection: RawDetection) {
        if detection.bbox.iter().all(|v| v.is_finite()) {
            self.found.push(detection);
        } else {
            self.faults.not_finite += 1;
        }
    }

    /// The decoder is done: were its numbers sound?
    pub fn finish(self) -> Result<(), Faults> {
        if self.faults.not_finite + self.faults.out_of_range == 0 {
            Ok(())
        } else {
            Err(self.faults)
        }
    }
}

/// The places of the expected shapes among those found; `None` where they are not the same
/// shapes. Exporters write outputs in any order.
pub(super) fn arrange(found: &[Vec<usize>], expected: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut places: Vec<usize> = Vec::with_capacity(expected.len());
    for shape in expected {
        let fits = |place: &usize| !places.contains(place) && found.get(*place) == Some(shape);
        let place = (0..found.len()).find(fits)?;
        places.push(place);
    }
    (places.len() == found.len()).then_some(places)
}

/// The family and number of labels that outputs of these shapes look like.
pub fn guess(input: Size, found: &[Vec<usize>]) -> Option<(&'static str, usize)> {
    const MOST_LABELS: usize = 2000;
    let fits = |family: &&dyn Family, labels| {
        arrange(found, &family.outputs(input, labels)).map(|_| (family.name(), labels))
    };
    FAMILIES
        .iter()
        .find_map(|family| (1..=MOST_LABELS).find_map(|labels| fits(family, labels)))
}

/// Cells of a feature map at each stride, rounded up as padded convolutions do.
fn grid(input: Size, stride: usize) -> (usize, usize) {
    (input.width.div_ceil(stride), input.height.div_ceil(stride))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_found_in_any_order() {
        let expected = [vec![1, 4, 2], vec![1, 4, 4]];
        let found = [vec![1, 4, 4], vec![1, 4, 2]];
        assert_eq!(arrange(&found, &expected), Some(vec![1, 0]));
        assert_eq!(arrange(&found[..1], &expected), None);
        assert_eq!(arrange(&found, &expected[..1]), None);
    }

    #[test]
    fn shapes_tell_the_family() {
        let square = |side| Size {
            width: side,
            height: side,
        };
        let yolox = [vec![1, 3549, 85]];
        assert_eq!(guess(square(416), &yolox), Some(("yolox", 80)));
        assert_eq!(guess(square(352), &yolox), None);
        let fastestdet = [vec![1, 85, 22, 22]];
        assert_eq!(guess(square(352), &fastestdet), Some(("fastestdet", 80)));
        let nanodet = [1600, 400, 100].map(|n| vec![1, n, 80]);
        let distances = [1600, 400, 100].map(|n| vec![1, n, 32]);
        let nanodet = [nanodet, distances].concat();
        assert_eq!(guess(square(320), &nanodet), Some(("nanodet", 80)));
        let faces = [vec![1, 4420, 2], vec![1, 4420, 4]];
        let size = Size {
            width: 320,
            height: 240,
        };
        assert_eq!(guess(size, &faces), Some(("ultraface", 1)));
    }

    #[test]
    fn unsound_scores_are_counted_and_named() {
        let mut found = Vec::new();
        let mut sink = Sink::new(0.3, &mut found);
        assert_eq!(
            [0.5, 1.0005, -0.0005].map(|s| sink.score(s)),
            [0.5, 1.0, 0.0]
        );
        assert!(sink.finish().is_ok());
        let mut sink = Sink::new(0.3, &mut found);
        let _ = sink.best([0.2, 4.5, -3.0].into_iter());
        let faults = sink.finish().unwrap_err().to_string();
        assert!(
            faults.starts_with("2 of 3 scores") && faults.contains("4.5"),
            "{faults}"
        );
        let mut sink = Sink::new(0.3, &mut found);
        let _ = sink.best([f32::NAN, f32::INFINITY].into_iter());
        let faults = sink.finish().unwrap_err().to_string();
        assert!(faults.starts_with("2 numbers"), "{faults}");
    }
}
