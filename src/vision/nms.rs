//! Suppresses boxes that lie over a better box of the same kind.

use super::families::RawDetection;

/// Boxes considered, best first: the work is quadratic, and no frame of a shop holds more things.
const MOST_CANDIDATES: usize = 1000;

/// Keeps the best boxes, best first (ties in the network's order), none of which overlaps a better
/// one of the same `kind` by more than `most_iou`.
pub(super) fn suppress<K: PartialEq>(
    found: &mut Vec<RawDetection>,
    most_iou: f32,
    kind: impl Fn(&RawDetection) -> K,
) {
    found.sort_by(|a, b| b.score.total_cmp(&a.score));
    found.truncate(MOST_CANDIDATES);
    let mut kept = 0;
    for place in 0..found.len() {
        let one = found[place];
        let covered = found[..kept]
            .iter()
            .any(|better| kind(better) == kind(&one) && iou(better.bbox, one.bbox) > most_iou);
        if !covered {
            found[kept] = one;
            kept += 1;
        }
    }
    found.truncate(kept);
}

fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |from: f32, to: f32| (to - from).max(0.0);
    let area = |b: [f32; 4]| side(b[0], b[2]) * side(b[1], b[3]);
    let both = side(a[0].max(b[0]), a[2].min(b[2])) * side(a[1].max(b[1]), a[3].min(b[3]));
    let either = area(a) + area(b) - both;
    if either > 0.0 { both / either } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, score: f32, label: usize) -> RawDetection {
        RawDetection {
            label,
            score,
            label_score: score,
            bbox: [x, 0.0, x + 10.0, 10.0],
        }
    }

    #[test]
    fn only_the_same_kind_is_suppressed() {
        let mut found = vec![
            at(0.0, 0.5, 0),
            at(1.0, 0.9, 0),
            at(0.5, 0.7, 1),
            at(8.0, 0.6, 0),
        ];
        suppress(&mut found, 0.5, |one| one.label);
        let scores: Vec<_> = found.iter().map(|one| one.score).collect();
        assert_eq!(scores, [0.9, 0.7, 0.6]);
    }

    #[test]
    fn an_unsure_model_costs_bounded_work() {
        let mut found: Vec<_> = (0..5000).map(|n| at(n as f32 * 20.0, 0.5, 0)).collect();
        suppress(&mut found, 0.5, |one| one.label);
        assert_eq!(found.len(), MOST_CANDIDATES);
    }
}
