//! A HID device: whether it is a scale, and what it weighs.

#![no_main]

use basketd::wire::hid_scale::{Layout, Weight, layout};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((split, bytes)) = bytes.split_first() else {
        return;
    };
    let (descriptor, report) = bytes.split_at(usize::from(*split).min(bytes.len()));
    let found = layout(descriptor);
    for layout in [found, Some(Layout::Plain), Some(Layout::Guessed)] {
        let Some(layout) = layout else { continue };
        match Weight::decode(layout, report) {
            Ok(weight) => assert!(weight.grams.is_finite() && weight.grams.abs() <= 1e9),
            Err(refused) => drop(refused.to_string()),
        }
    }
});
