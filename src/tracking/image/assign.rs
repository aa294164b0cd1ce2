//! Optimal one-to-one assignment of rows to columns, maximising the summed gain. Deterministic:
//! equal inputs give equal pairs. Sparse inputs fall apart into components that do not touch; most
//! are a single pair and cost nothing, the rest go through the Hungarian algorithm.

/// A possible pair and what it is worth; only positive gains are ever taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    pub row: usize,
    pub col: usize,
    pub gain: f64,
}

/// Rows times columns of a component above which the optimum would take too long.
const MOST_CELLS: usize = 250_000;

/// The column of each row, or `None` where a row is better left alone. Edges outside of
/// `rows` x `cols` and edges without a positive finite gain are ignored.
pub(super) fn assign(rows: usize, cols: usize, edges: &[Edge]) -> Vec<Option<usize>> {
    let mut pairs = vec![None; rows];
    let usable = |e: &&Edge| e.row < rows && e.col < cols && e.gain > 0.0 && e.gain.is_finite();
    let mut component = Components::new(rows + cols);
    for e in edges.iter().filter(usable) {
        component.join(e.row, rows + e.col);
    }
    let mut sorted: Vec<(usize, Edge)> = edges
        .iter()
        .filter(usable)
        .map(|e| (component.root(e.row), *e))
        .collect();
    sorted.sort_by_key(|(root, e)| (*root, e.row, e.col));
    for group in sorted.chunk_by(|a, b| a.0 == b.0) {
        match group {
            [(_, only)] => {
                if let Some(pair) = pairs.get_mut(only.row) {
                    *pair = Some(only.col);
                }
            }
            _ => assign_component(group, &mut pairs),
        }
    }
    pairs
}

/// The best pair first, then the best of what is left: for heaps no camera sees.
fn assign_greedily(group: &[(usize, Edge)], pairs: &mut [Option<usize>]) {
    let mut best: Vec<&Edge> = group.iter().map(|(_, e)| e).collect();
    let order = |e: &Edge| (e.row, e.col);
    best.sort_by(|a, b| b.gain.total_cmp(&a.gain).then(order(a).cmp(&order(b))));
    let mut taken = std::collections::BTreeSet::new();
    for e in best {
        if let Some(pair @ None) = pairs.get_mut(e.row)
            && taken.insert(e.col)
        {
            *pair = Some(e.col);
        }
    }
}

fn assign_component(group: &[(usize, Edge)], pairs: &mut [Option<usize>]) {
    let distinct = |mut v: Vec<usize>| {
        v.sort_unstable();
        v.dedup();
        v
    };
    let rows = distinct(group.iter().map(|(_, e)| e.row).collect());
    let cols = distinct(group.iter().map(|(_, e)| e.col).collect());
    if rows.len() * cols.len() > MOST_CELLS {
        assign_greedily(group, pairs);
        return;
    }
    // The algorithm wants no more rows than columns.
    let turned = rows.len() > cols.len();
    let (n, m) = if turned {
        (cols.len(), rows.len())
    } else {
        (rows.len(), cols.len())
    };
    let mut cost = vec![0.0; n * m];
    for (_, e) in group {
        let r = rows.partition_point(|v| *v < e.row);
        let c = cols.partition_point(|v| *v < e.col);
        let (i, j) = if turned { (c, r) } else { (r, c) };
        if let Some(cell) = cost.get_mut(i * m + j) {
            *cell = -e.gain;
        }
    }
    for (i, j) in hungarian(n, m, &cost).into_iter().enumerate() {
        let (r, c) = if turned { (j, i) } else { (i, j) };
        // A zero is a pair that nobody offered.
        let offered = cost.get(i * m + j).is_some_and(|v| *v < 0.0);
        if let (true, Some(row), Some(col)) = (offered, rows.get(r), cols.get(c))
            && let Some(pair) = pairs.get_mut(*row)
        {
            *pair = Some(*col);
        }
    }
}

/// Shortest augmenting paths with potentials, O(n² m); `cost` is row-major, `n <= m`. Returns the
/// column of each row. Index 0 of the work arrays is a sentinel.
#[expect(
    clippy::indexing_slicing,
    reason = "every index is below n + 1 or m + 1 by construction"
)]
fn hungarian(n: usize, m: usize, cost: &[f64]) -> Vec<usize> {
    let (mut u, mut v) = (vec![0.0; n + 1], vec![0.0; m + 1]);
    let (mut row_of, mut way) = (vec![0; m + 1], vec![0; m + 1]);
    for i in 1..=n {
        row_of[0] = i;
        let mut j0 = 0;
        let mut least = vec![f64::INFINITY; m + 1];
        let mut used = vec![false; m + 1];
        while row_of[j0] != 0 {
            used[j0] = true;
            let i0 = row_of[j0];
            let (mut delta, mut j1) = (f64::INFINITY, 0);
            for j in (1..=m).filter(|j| !used[*j]) {
                let reduced = cost[(i0 - 1) * m + j - 1] - u[i0] - v[j];
                if reduced < least[j] {
                    least[j] = reduced;
                    way[j] = j0;
                }
                if least[j] < delta {
                    delta = least[j];
                    j1 = j;
                }
            }
            for j in 0..=m {
                if used[j] {
                    u[row_of[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            j0 = j1;
        }
        while j0 != 0 {
            let j1 = way[j0];
            row_of[j0] = row_of[j1];
            j0 = j1;
        }
    }
    let mut col_of = vec![0; n];
    for j in (1..=m).filter(|j| row_of[*j] != 0) {
        col_of[row_of[j] - 1] = j - 1;
    }
    col_of
}

/// Union-find with path halving; the root is the smallest member.
struct Components(Vec<usize>);

impl Components {
    fn new(size: usize) -> Self {
        Self((0..size).collect())
    }

    #[expect(clippy::indexing_slicing, reason = "parents are members")]
    fn root(&mut self, mut a: usize) -> usize {
        while self.0[a] != a {
            self.0[a] = self.0[self.0[a]];
            a = self.0[a];
        }
        a
    }

    #[expect(clippy::indexing_slicing, reason = "roots are members")]
    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn best(rows: usize, gains: &[Vec<f64>], taken: u32) -> f64 {
        let Some(row) = rows.checked_sub(1) else {
            return 0.0;
        };
        let alone = best(row, gains, taken);
        let offers = gains[row].iter().enumerate();
        offers
            .filter(|(c, g)| **g > 0.0 && taken & (1 << c) == 0)
            .map(|(c, g)| g + best(row, gains, taken | (1 << c)))
            .fold(alone, f64::max)
    }

    proptest! {
        /// As good as trying every way, and one-to-one.
        #[test]
        fn is_optimal(gains in prop::collection::vec(prop::collection::vec(-3.0..5.0_f64, 5), 1..6)) {
            let edges: Vec<Edge> = gains.iter().enumerate().flat_map(|(row, line)| {
                line.iter().enumerate().map(move |(col, gain)| Edge { row, col, gain: *gain })
            }).collect();
            let pairs = assign(gains.len(), 5, &edges);
            let total: f64 = pairs.iter().zip(&gains).filter_map(|(c, line)| c.map(|c| line[c])).sum();
            let mut cols: Vec<_> = pairs.iter().flatten().collect();
            cols.sort_unstable();
            cols.dedup();
            prop_assert_eq!(cols.len(), pairs.iter().flatten().count());
            prop_assert!((total - best(gains.len(), &gains, 0)).abs() < 1e-9);
        }
    }

    #[test]
    fn a_heap_is_assigned_greedily() {
        let n = 600;
        let near = |row: usize, col: usize| row.abs_diff(col) < 2;
        let all = (0..n).flat_map(|row| (0..n).map(move |col| (row, col)));
        let edges: Vec<Edge> = all
            .filter(|(row, col)| near(*row, *col))
            .map(|(row, col)| Edge {
                row,
                col,
                gain: if row == col { 2.0 } else { 1.9 },
            })
            .collect();
        let expected: Vec<_> = (0..n).map(Some).collect();
        assert_eq!(assign(n, n, &edges), expected);
    }

    #[test]
    fn nothing_usable_leaves_rows_alone() {
        let edge = |row, col, gain| Edge { row, col, gain };
        let bad = [edge(0, 0, f64::NAN), edge(0, 9, 1.0), edge(1, 0, -1.0)];
        assert_eq!(assign(2, 1, &bad), [None, None]);
        assert_eq!(assign(0, 0, &[]), []);
    }
}
