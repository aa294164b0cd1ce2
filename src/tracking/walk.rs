//! How somebody walks: a place and a velocity that changes as walkers' velocities do (white-noise
//! acceleration: Bar-Shalom, Li, Kirubarajan, *Estimation with Applications to Tracking and
//! Navigation*, 2001, section 6.2.2), and how well a sight fits it.

use serde::{Deserialize, Serialize};

use super::person::Placed;
use crate::units::Timestamp;

/// Spectral density of a walker's acceleration, m²/s³: a turn by 90° at 1 m/s within a second.
const ACCELERATION_DENSITY: f64 = 1.0;
/// Standard deviation of a first velocity, m/s.
const FIRST_M_S: f64 = 0.8;
/// Squared deviations beyond this say no more: boxes merge and jump.
const SQUARED_MAX: f64 = 12.0;

/// Position and velocity of one coordinate with their covariance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Axis {
    x: f64,
    v: f64,
    xx: f64,
    xv: f64,
    vv: f64,
}

impl Axis {
    fn new(x: f64, sigma: f64) -> Self {
        Self {
            x,
            v: 0.0,
            xx: sigma * sigma,
            xv: 0.0,
            vv: FIRST_M_S * FIRST_M_S,
        }
    }

    fn predict(&mut self, dt: f64) {
        let q = ACCELERATION_DENSITY;
        self.x += self.v * dt;
        self.xx += 2.0 * dt * self.xv + dt * dt * self.vv + q * dt * dt * dt / 3.0;
        self.xv += dt * self.vv + q * dt * dt / 2.0;
        self.vv += q * dt;
    }

    /// Takes a measurement; its log likelihood.
    fn correct(&mut self, z: f64, sigma: f64) -> f64 {
        let s = self.xx + sigma * sigma;
        let (kx, kv) = (self.xx / s, self.xv / s);
        let y = z - self.x;
        self.x += kx * y;
        self.v = (self.v + kv * y).clamp(-3.0, 3.0);
        self.vv = (self.vv - kv * self.xv).max(1e-4);
        self.xx *= 1.0 - kx;
        self.xv *= 1.0 - kx;
        -(libm::log(s) + (y * y / s).min(SQUARED_MAX)) / 2.0
    }
}

/// Somebody's walk up to now.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Walk {
    at: Timestamp,
    x: Axis,
    y: Axis,
}

impl Walk {
    pub(super) fn new(at: Timestamp, placed: Placed) -> Self {
        Self {
            at,
            x: Axis::new(placed.at.x, placed.sigma.x),
            y: Axis::new(placed.at.y, placed.sigma.y),
        }
    }

    /// Goes on to where he is seen; the log likelihood of his being seen there.
    pub(super) fn see(&mut self, at: Timestamp, placed: Placed) -> f64 {
        // Whoever was out of sight for seconds may have gone anywhere.
        let dt = at.secs_since(self.at).clamp(0.0, 3.0);
        self.at = self.at.max(at);
        for axis in [&mut self.x, &mut self.y] {
            axis.predict(dt);
        }
        self.x.correct(placed.at.x, placed.sigma.x) + self.y.correct(placed.at.y, placed.sigma.y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Point, TimeDelta};

    #[test]
    fn going_on_is_likelier_than_turning_back() {
        let placed = |x: f64| Placed {
            at: Point::new(x, 0.0),
            sigma: Point::new(0.15, 0.15),
        };
        let at = |i: i32| Timestamp::from_nanos(0) + TimeDelta::from_secs(0.1 * f64::from(i));
        let mut walk = Walk::new(at(0), placed(0.0));
        for i in 1..20 {
            walk.see(at(i), placed(0.1 * f64::from(i)));
        }
        let mut back = walk;
        let (mut on_log, mut back_log) = (0.0, 0.0);
        for i in 20..30 {
            on_log += walk.see(at(i), placed(0.1 * f64::from(i)));
            back_log += back.see(at(i), placed(0.1 * f64::from(38 - i)));
        }
        assert!(on_log - back_log > 2.5, "{on_log} {back_log}");
    }
}
