//! The little statistics that evidence is weighed with. Logarithms are natural; `libm` gives the
//! same bits on every platform.

/// Log density of a normal distribution.
pub fn log_normal(x: f64, mean: f64, sigma: f64) -> f64 {
    const LOG_SQRT_TAU: f64 = 0.918_938_533_204_672_8;
    let z = (x - mean) / sigma;
    -0.5 * z * z - libm::log(sigma) - LOG_SQRT_TAU
}

/// `ln(exp(a) + exp(b) + …)` without overflow; minus infinity for nothing.
pub fn log_sum_exp(values: impl IntoIterator<Item = f64> + Clone) -> f64 {
    let max = values.clone().into_iter().fold(f64::NEG_INFINITY, f64::max);
    if !max.is_finite() {
        return max;
    }
    let sum: f64 = values.into_iter().map(|v| libm::exp(v - max)).sum();
    max + libm::log(sum)
}

/// The standard normal distribution function.
pub fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The middle value (the upper one of an even number); sorts in place. `None` for nothing.
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Rounded half away from zero to a number of decimals, as published numbers are.
pub fn round_to(value: f64, decimals: i32) -> f64 {
    let scale = libm::exp10(f64::from(decimals));
    let rounded = (value * scale).round() / scale;
    // Minus zero would be printed as such.
    if rounded == 0.0 { 0.0 } else { rounded }
}
