//! Which sight is whose: the assignment of least cost between one frame's sights and people.

use super::person::{Person, Sight};
use crate::units::Timestamp;

/// Costs above this are no match.
const GATE: f64 = 14.0;
/// People further off than this are not the same, however unsure, metres.
const GATE_M: f64 = 1.6;

/// Somebody who may not be there at all must fit a sight by so much better than somebody who is.
const TENTATIVE: f64 = 3.0;

/// For each sight the place of its person; the last people, from `certain` on, are tentative.
pub(super) fn best(
    people: &[&Person],
    certain: usize,
    sights: &[Sight],
    at: Timestamp,
) -> Vec<Option<usize>> {
    let cost = |person: &Person, sight: &Sight| {
        let (squared, metres) = person.distance(sight, at);
        let looks = person
            .looks_like(sight)
            .map_or(0.0, |cos| 6.0 * (1.0 - cos));
        let weak = 2.0 * (1.0 - sight.score);
        (metres < GATE_M && squared < GATE)
            .then_some(squared + looks + weak + person.height_cost(sight))
    };
    let costs: Vec<Vec<f64>> = sights
        .iter()
        .map(|s| {
            people
                .iter()
                .enumerate()
                .map(|(i, p)| {
                    let doubt = if i < certain { 0.0 } else { TENTATIVE };
                    cost(p, s).map_or(f64::INFINITY, |c| c + doubt)
                })
                .collect()
        })
        .collect();
    assign(&costs, people.len())
}

/// Least-cost assignment by successive shortest paths (Jonker and Volgenant's form of the
/// Hungarian method), rows to columns; infinite costs are never chosen, and a row may stay
/// without a column at the cost of the gate.
fn assign(costs: &[Vec<f64>], columns: usize) -> Vec<Option<usize>> {
    let rows = costs.len();
    // Column `columns + r` is row r's own "nobody".
    let all = columns + rows;
    let cost = |r: usize, c: usize| {
        if c < columns {
            let value = costs[r][c];
            if value.is_finite() { value } else { 1e6 }
        } else if c == columns + r {
            GATE + 8.0
        } else {
            1e6
        }
    };
    let mut row_price = vec![0.0; rows + 1];
    let mut column_price = vec![0.0; all + 1];
    let mut owner = vec![0_usize; all + 1];
    for row in 1..=rows {
        owner[0] = row;
        let mut column = 0;
        let mut least = vec![f64::INFINITY; all + 1];
        let mut via = vec![0_usize; all + 1];
        let mut done = vec![false; all + 1];
        loop {
            done[column] = true;
            let (r, mut delta, mut next) = (owner[column], f64::INFINITY, 0);
            for c in 1..=all {
                if done[c] {
                    continue;
                }
                let reduced = cost(r - 1, c - 1) - row_price[r] - column_price[c];
                if reduced < least[c] {
                    least[c] = reduced;
                    via[c] = column;
                }
                if least[c] < delta {
                    delta = least[c];
                    next = c;
                }
            }
            for c in 0..=all {
                if done[c] {
                    row_price[owner[c]] += delta;
                    column_price[c] -= delta;
                } else {
                    least[c] -= delta;
                }
            }
            column = next;
            if owner[column] == 0 {
                break;
            }
        }
        while column != 0 {
            let before = via[column];
            owner[column] = owner[before];
            column = before;
        }
    }
    let mut chosen = vec![None; rows];
    for c in 1..=columns {
        if let Some(row) = owner[c].checked_sub(1)
            && costs[row][c - 1].is_finite()
        {
            chosen[row] = Some(c - 1);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_whole_beats_the_cheapest_first() {
        let costs = vec![vec![1.0, 2.0], vec![1.5, 9.0]];
        assert_eq!(assign(&costs, 2), vec![Some(1), Some(0)]);
    }

    #[test]
    fn what_is_beyond_the_gate_stays_alone() {
        let costs = vec![vec![f64::INFINITY], vec![3.0]];
        assert_eq!(assign(&costs, 1), vec![None, Some(0)]);
    }
}
