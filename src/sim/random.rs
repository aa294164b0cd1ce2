//! The only source of chance in the simulator: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014),
//! split by a label into streams that do not disturb each other. The same seed gives the same
//! bits on every platform: elementary functions come from `libm`.

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: mix(seed ^ 0x5851_F42D_4C95_7F2D),
        }
    }

    /// A stream of its own for the part of the world that `label` names.
    pub(super) fn stream(seed: u64, label: &str) -> Self {
        let hash = label.bytes().fold(0xCBF2_9CE4_8422_2325, |h: u64, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01B3)
        });
        Self::new(mix(seed) ^ hash)
    }

    /// A stream fixed by numbers, for properties of things that are looked up again and again.
    pub(super) fn keyed(keys: &[u64]) -> Self {
        let hash = keys
            .iter()
            .fold(GAMMA, |h, k| mix(h ^ k.wrapping_add(GAMMA)));
        Self::new(hash)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// Uniform in `0..1`.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `low..high`.
    pub(super) fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// A whole number in `low..=high`.
    pub(super) fn int(&mut self, low: u64, high: u64) -> u64 {
        low + (self.unit() * (high - low + 1) as f64) as u64
    }

    /// A place in a list of `n`.
    pub(super) fn index(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Standard normal (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        let u = 1.0 - self.unit();
        let v = self.unit();
        (-2.0 * libm::log(u)).sqrt() * libm::cos(std::f64::consts::TAU * v)
    }

    /// Log-normal around a median; `spread` is the standard deviation of the logarithm.
    pub(super) fn log_normal(&mut self, median: f64, spread: f64) -> f64 {
        median * libm::exp(spread * self.normal())
    }

    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * libm::log(1.0 - self.unit())
    }

    /// The place of a weight, drawn in proportion.
    pub(super) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.unit() * weights.iter().sum::<f64>();
        for (i, w) in weights.iter().enumerate() {
            left -= w;
            if left < 0.0 {
                return i;
            }
        }
        weights.len().saturating_sub(1)
    }

    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.index(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_right() {
        let mut r = Random::new(1);
        let xs: Vec<f64> = (0..20_000).map(|_| r.normal()).collect();
        let mean = xs.iter().sum::<f64>() / 20_000.0;
        let var = xs.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!(
            mean.abs() < 0.03 && (var - 1.0).abs() < 0.05,
            "{mean} {var}"
        );
        let counts = (0..30_000).fold([0; 3], |mut c, _| {
            c[r.weighted(&[1.0, 0.0, 2.0])] += 1;
            c
        });
        assert!(
            counts[1] == 0 && (9_300..10_700).contains(&counts[0]),
            "{counts:?}"
        );
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |label: &str| Random::stream(7, label).next();
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
    }
}
