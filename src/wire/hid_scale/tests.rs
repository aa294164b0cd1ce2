//! Reports that others have published, every unit and status, and properties of any bytes.

use proptest::prelude::*;

use super::*;

fn grams(report: &[u8]) -> f64 {
    Weight::decode(Layout::Guessed, report).unwrap().grams
}

/// Written after the tables' own example of a scale's descriptor: a class for the device, then a
/// report of data with status, unit, scaling and weight, here with the id 3.
const SCALE: &[u8] = &[
    0x05, 0x8D, 0x09, 0x20, 0xA1, 0x01, 0x09, 0x32, 0xA1, 0x02, 0x85, 0x03, 0x09, 0x70, 0xA1, 0x02,
    0x09, 0x71, 0x09, 0x72, 0x15, 0x01, 0x25, 0x08, 0x75, 0x08, 0x95, 0x01, 0x81, 0x00, 0xC0, 0x09,
    0x50, 0xA1, 0x02, 0x09, 0x51, 0x09, 0x52, 0x25, 0x0C, 0x81, 0x00, 0xC0, 0x09, 0x41, 0x15, 0x81,
    0x25, 0x7F, 0x81, 0x02, 0x09, 0x40, 0x15, 0x00, 0x27, 0xFF, 0xFF, 0x00, 0x00, 0x75, 0x10, 0x81,
    0x02, 0xC0, 0xC0,
];

/// A keyboard of the boot protocol (HID 1.11, appendix B).
const KEYBOARD: &[u8] = &[
    0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, 0x05, 0x07, 0x19, 0xE0, 0x29, 0xE7, 0x15, 0x00, 0x25, 0x01,
    0x75, 0x01, 0x95, 0x08, 0x81, 0x02, 0xC0,
];

#[test]
fn published_reports_are_read() {
    // antradar.com, "Decoding the USB scale": 20 g, 645.2 oz.
    assert_eq!(grams(&[3, 4, 2, 0, 20, 0]), 20.0);
    assert_eq!(grams(&[3, 4, 11, 0xFF, 0x34, 0x19]), 645.2 * 28.349_523_125);
    // The same without an id, and with padding behind.
    assert_eq!(grams(&[4, 2, 0, 20, 0]), 20.0);
    assert_eq!(grams(&[4, 4, 2, 0, 20, 0, 0, 0]), 20.0);
    let weight = |layout, report: &[u8]| Weight::decode(layout, report).map(|weight| weight.grams);
    assert_eq!(weight(Layout::WithId(9), &[9, 4, 2, 0, 20, 0]), Ok(20.0));
    assert_eq!(weight(Layout::Plain, &[4, 2, 0, 20, 0, 0, 0, 0]), Ok(20.0));
}

#[test]
fn every_unit_and_status_is_known() {
    let one_of_each: Vec<_> = (1..=12).map(|unit| grams(&[3, 4, unit, 0, 1, 0])).collect();
    let expected = [
        0.001,
        1.0,
        1000.0,
        0.2,
        37.799_363_75,
        0.064_798_91,
        1.555_173_84,
        1e6,
        907_184.74,
        31.103_476_8,
        28.349_523_125,
        453.592_37,
    ];
    assert_eq!(one_of_each, expected);
    let states: Vec<_> = (1..=8)
        .map(|status| {
            Weight::decode(Layout::Guessed, &[3, status, 2, 0, 1, 0])
                .unwrap()
                .state
        })
        .collect();
    use State::*;
    let expected = [
        Fault,
        Zero,
        Moving,
        Stable,
        UnderZero,
        OverLimit,
        NeedsCalibration,
        NeedsRezero,
    ];
    assert_eq!(states, expected);
    assert_eq!(grams(&[3, 5, 2, 0, 7, 0]), -7.0);
}

#[test]
fn what_a_scale_cannot_say_is_refused() {
    let refused = |report: &[u8]| Weight::decode(Layout::Guessed, report).unwrap_err();
    assert_eq!(refused(&[3, 4, 2, 0]), Malformed::Length(4));
    assert_eq!(refused(&[]), Malformed::Length(0));
    assert_eq!(refused(&[5, 4, 2, 0, 1, 0]), Malformed::ReportId(5));
    assert_eq!(refused(&[3, 0, 2, 0, 1, 0]), Malformed::Status(0));
    assert_eq!(refused(&[3, 4, 13, 0, 1, 0]), Malformed::Unit(13));
    assert_eq!(refused(&[3, 4, 3, 100, 1, 0]), Malformed::Huge);
    let other = Weight::decode(Layout::WithId(3), &[4, 4, 2, 0, 1, 0]);
    assert_eq!(other, Err(Malformed::ReportId(4)));
}

#[test]
fn a_scale_is_told_from_a_keyboard() {
    assert_eq!(layout(SCALE), Some(Layout::WithId(3)));
    assert_eq!(layout(KEYBOARD), None);
    let without_id: Vec<u8> = [&SCALE[..10], &SCALE[12..]].concat();
    assert_eq!(layout(&without_id), Some(Layout::Plain));
    // Only that it weighs; and the page within a usage of four bytes.
    assert_eq!(layout(&SCALE[..10]), Some(Layout::Guessed));
    assert_eq!(
        layout(&[0x0B, 0x20, 0x00, 0x8D, 0x00]),
        Some(Layout::Guessed)
    );
    assert_eq!(layout(&[]), None);
    // A long item is passed over; one that is cut off ends the search.
    assert_eq!(layout(&[0xFE, 1, 9, 0, 0x05, 0x8D]), Some(Layout::Guessed));
    assert_eq!(layout(&[0xFE, 9, 9, 0, 0x05, 0x8D]), None);
}

fn any_layout() -> impl Strategy<Value = Layout> {
    prop_oneof![
        any::<u8>().prop_map(Layout::WithId),
        Just(Layout::Plain),
        Just(Layout::Guessed)
    ]
}

proptest! {
    #[test]
    fn any_report_is_survived(
        layout in any_layout(),
        report in proptest::collection::vec(any::<u8>(), 0..70),
    ) {
        if let Ok(weight) = Weight::decode(layout, &report) {
            prop_assert!(weight.grams.is_finite() && weight.grams.abs() <= GRAMS_MAX);
        }
    }

    #[test]
    fn any_descriptor_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let found = layout(&bytes);
        prop_assert!(found.is_none() || !bytes.is_empty());
    }

    #[test]
    fn weights_go_there_and_back(
        id in prop_oneof![Just(None), Just(Some(3_u8)), Just(Some(4_u8))],
        status in 2_u8..=4, unit in 1_u8..=12, exponent in -5_i8..=1, amount in any::<u16>(),
    ) {
        let mut report: Vec<u8> = id.into_iter().collect();
        report.extend([status, unit, exponent.to_le_bytes()[0]]);
        report.extend(amount.to_le_bytes());
        match Weight::decode(Layout::Guessed, &report) {
            Ok(weight) => {
                let back = weight.grams / Unit::ALL[usize::from(unit) - 1].grams();
                let expected = f64::from(amount) * 10_f64.powi(i32::from(exponent));
                prop_assert!((back - expected).abs() <= 1e-9 * expected, "{} {}", back, expected);
            }
            Err(error) => prop_assert_eq!(error, Malformed::Huge),
        }
    }
}
