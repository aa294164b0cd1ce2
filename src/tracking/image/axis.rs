//! One coordinate of a box and its speed: a Kalman filter of constant speed with noise that grows
//! with the box, so that near and far people are treated alike.

/// Noise of a box's edges, and of its own motion a tick, as shares of its size.
const MEASURE_SHARE: f64 = 0.06;
const DRIFT_SHARE: f64 = 0.03;
const SPEED_SHARE: f64 = 0.004;

/// One coordinate and its speed a tick, with their covariance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub at: f64,
    pub speed: f64,
    pub var: f64,
    pub cross: f64,
    pub speed_var: f64,
}

impl Axis {
    pub(super) fn new(at: f64, size: f64) -> Self {
        let (a, s) = (2.0 * MEASURE_SHARE * size, 10.0 * SPEED_SHARE * size);
        Self {
            at,
            speed: 0.0,
            var: a * a,
            cross: 0.0,
            speed_var: s * s,
        }
    }

    pub(super) fn predict(&mut self, ticks: f64, size: f64) {
        let (a, s) = (DRIFT_SHARE * size, SPEED_SHARE * size);
        self.at += self.speed * ticks;
        self.var += ticks * (2.0 * self.cross + ticks * self.speed_var) + a * a * ticks;
        self.cross += ticks * self.speed_var;
        self.speed_var += s * s * ticks;
    }

    pub(super) fn update(&mut self, seen: f64, size: f64) {
        let m = MEASURE_SHARE * size;
        let s = self.var + m * m;
        let (ka, ks) = (self.var / s, self.cross / s);
        let residual = seen - self.at;
        self.at += ka * residual;
        self.speed += ks * residual;
        self.speed_var -= ks * self.cross;
        self.cross -= ka * self.cross;
        self.var -= ka * self.var;
    }

    /// Takes into a filtered state what was learned later: `next` is smoothed, `expected` what
    /// this state predicted `ticks` ahead.
    pub(super) fn smooth(&mut self, next: &Self, expected: &Self, ticks: f64) {
        // C = P F' / P(expected), row by row.
        let det = expected.var * expected.speed_var - expected.cross * expected.cross;
        if det <= 0.0 {
            return;
        }
        let (p00, p01) = (self.var + ticks * self.cross, self.cross);
        let (p10, p11) = (self.cross + ticks * self.speed_var, self.speed_var);
        let solve = |a: f64, b: f64| {
            (
                (a * expected.speed_var - b * expected.cross) / det,
                (b * expected.var - a * expected.cross) / det,
            )
        };
        let (c00, c01) = solve(p00, p01);
        let (c10, c11) = solve(p10, p11);
        let (da, ds) = (next.at - expected.at, next.speed - expected.speed);
        self.at += c00 * da + c01 * ds;
        self.speed += c10 * da + c11 * ds;
    }

    /// The same in time that runs backwards.
    pub(super) fn turned(self) -> Self {
        Self {
            speed: -self.speed,
            cross: -self.cross,
            ..self
        }
    }
}
