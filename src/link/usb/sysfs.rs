//! A device's texts as the kernel read them when it was plugged in: to be had without permission to
//! open the device, and without asking a device that answers such questions badly.

use std::path::Path;

const TEXT_MAX: usize = 200;

/// None where the device has no such text.
pub(super) fn text(place: &str, name: &str) -> Option<String> {
    let path = Path::new("/sys/bus/usb/devices").join(place).join(name);
    let bytes = std::fs::read(path).ok()?;
    clean(&bytes)
}

/// Devices say anything; a line of printable text is left of it.
fn clean(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text
        .trim()
        .chars()
        .filter(|c| !c.is_control())
        .take(TEXT_MAX)
        .collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_printable_or_none() {
        assert_eq!(clean(b"A7\n").as_deref(), Some("A7"));
        assert_eq!(clean(b"A\x007\x1b\n").as_deref(), Some("A7"));
        assert_eq!(clean(b" \n"), None);
        assert_eq!(
            clean(&[0xFF; 300]).map(|text| text.chars().count()),
            Some(200)
        );
        assert_eq!(text("9-9", "serial"), None);
    }
}
