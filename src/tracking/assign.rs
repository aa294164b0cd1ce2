//! Which sight is whose: the assignment of least cost between one frame's sights and people.

use std::collections::BTreeSet;

use super::person::{Expected, Person, Sight};
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
    let expected: Vec<Expected<'_>> = people.iter().map(|p| p.expected(at)).collect();
    let cost = |person: &Expected<'_>, sight: &Sight| {
        let (squared, metres) = person.distance(sight);
        let near = metres < GATE_M && squared < GATE;
        if !near {
            return None;
        }
        let looks = person
            .looks_like(sight)
            .map_or(0.0, |cos| 6.0 * (1.0 - cos));
        let weak = 2.0 * (1.0 - sight.score);
        Some(squared + looks + weak + person.height_cost(sight))
    };
    let costs = |s: &Sight| -> Vec<(usize, f64)> {
        let numbered = expected.iter().enumerate();
        let near = numbered.filter_map(|(i, p)| {
            let doubt = if i < certain { 0.0 } else { TENTATIVE };
            cost(p, s).map(|c| (i, c + doubt))
        });
        near.collect()
    };
    let costs: Vec<Vec<(usize, f64)>> = sights.iter().map(costs).collect();
    assign_near(&costs, people.len())
}

/// The assignment of each group of sights and people who are far from all others by itself: what
/// is far has no say in it, and tables stay small. Each row has its columns in order.
fn assign_near(costs: &[Vec<(usize, f64)>], columns: usize) -> Vec<Option<usize>> {
    let mut chosen = vec![None; costs.len()];
    let mut rows_of: Vec<Vec<usize>> = vec![Vec::new(); columns];
    for (row, near) in costs.iter().enumerate() {
        near.iter()
            .for_each(|(column, _)| rows_of[*column].push(row));
    }
    let mut grouped = vec![false; costs.len()];
    for first in 0..costs.len() {
        if std::mem::replace(&mut grouped[first], true) {
            continue;
        }
        let (mut rows, mut group) = (vec![first], BTreeSet::new());
        let mut next = 0;
        while let Some(row) = rows.get(next).copied() {
            next += 1;
            for (column, _) in &costs[row] {
                if group.insert(*column) {
                    let fresh = rows_of[*column].iter().filter(|r| !grouped[**r]);
                    let fresh: Vec<usize> = fresh.copied().collect();
                    fresh.iter().for_each(|r| grouped[*r] = true);
                    rows.extend(fresh);
                }
            }
        }
        rows.sort_unstable();
        let group: Vec<usize> = group.into_iter().collect();
        let table = |row: &usize| {
            let mut table = vec![f64::INFINITY; group.len()];
            for (column, cost) in &costs[*row] {
                if let Ok(place) = group.binary_search(column) {
                    table[place] = *cost;
                }
            }
            table
        };
        let table: Vec<Vec<f64>> = rows.iter().map(table).collect();
        for (row, place) in rows.iter().zip(assign(&table, group.len())) {
            chosen[*row] = place.map(|place| group[place]);
        }
    }
    chosen
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
