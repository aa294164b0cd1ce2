//! Money as text: a decimal with the currency's digits, exact.

/// An amount in the currency's smallest unit as a decimal with its digits.
pub fn format(amount: u64, digits: u8) -> String {
    let digits = usize::from(digits);
    let mut text = format!("{amount:0>width$}", width = digits + 1);
    if digits > 0 {
        let point = text.len() - digits;
        text.insert(point, '.');
    }
    text
}

/// The amount that a decimal spells, in the currency's smallest unit; `None` where it is no
/// decimal or has more digits than the currency.
pub fn parse(text: &str, digits: u8) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = usize::from(digits);
    let numbers = |t: &str| t.bytes().all(|c| c.is_ascii_digit());
    if whole.is_empty()
        || whole.len() > 12
        || part.len() > digits
        || !numbers(whole)
        || !numbers(part)
    {
        return None;
    }
    if text.ends_with('.') {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact() {
        for (text, digits, amount) in [
            ("6.5", 2, 650),
            ("0.05", 2, 5),
            ("120", 0, 120),
            ("1.234", 3, 1234),
            ("7", 2, 700),
        ] {
            assert_eq!(parse(text, digits), Some(amount), "{text}");
            assert_eq!(parse(&format(amount, digits), digits), Some(amount));
        }
        for (text, digits) in [
            ("1.234", 2),
            ("-1", 2),
            ("1.", 2),
            (".5", 2),
            ("1e3", 2),
            ("", 2),
        ] {
            assert_eq!(parse(text, digits), None, "{text}");
        }
        assert_eq!(format(5, 2), "0.05");
    }
}
