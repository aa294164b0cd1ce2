//! GS1 numbers against vectors that nobody here wrote, and round trips.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::path::Path;

use basketd::gs1::{Epc, Gtin, Scheme, Sgtin};
use proptest::prelude::*;

/// The vectors of one scheme; empty where the shared captures are absent.
fn vectors() -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures/epc/vectors.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: no ../shared");
        return Vec::new();
    };
    serde_json::from_str(&text).unwrap()
}

#[test]
fn sgtin_vectors_both_ways() {
    let mut encoded = 0;
    for vector in vectors() {
        let text = |key: &str| vector[key].as_str();
        let uri = text("uri").unwrap();
        if !text("_file").unwrap().ends_with("test_sgtin.py") {
            assert!(uri.parse::<Sgtin>().is_err(), "{uri}");
            continue;
        }
        let name = text("name").unwrap();
        let parsed = uri.parse::<Sgtin>();
        let kwargs = &vector["kwargs"];
        let Ok(sgtin) = parsed else {
            assert_eq!(vector["_valid"], false, "{name}");
            continue;
        };
        assert_eq!(sgtin.to_string(), uri, "{name}");
        if let Some(key) = text("gs1_key") {
            assert_eq!(key.parse(), Ok(sgtin.gtin()), "{name}");
        }
        if let Some(element) = text("gs1_element_string") {
            let written = format!("(01){}(21){}", sgtin.gtin(), sgtin.serial());
            assert_eq!(written, element, "{name}");
        }
        if vector["_valid"] == false {
            // Right as an SGTIN, wrong for what it was asked to become.
            let scheme = kwargs["binary_coding_scheme"].as_str();
            let to_96 = scheme == Some("SGTIN.BinaryCodingScheme.SGTIN_96");
            let to_12 = kwargs["gtin_type"] == "GTIN_TYPE.GTIN12";
            assert!(to_96 || to_12, "{name}");
            assert!(!to_96 || sgtin.to_sgtin_96().is_err(), "{name}");
            assert!(!to_12 || sgtin.gtin().as_u64() >= 10_u64.pow(12), "{name}");
        }
        let Some(hex) = text("hex") else { continue };
        let epc: Epc = hex.parse().unwrap();
        let from_tag = epc.sgtin().unwrap();
        assert_eq!(from_tag.to_string(), uri, "{name}");
        assert_eq!(epc.gtin(), Some(sgtin.gtin()), "{name}");
        let scheme = epc.scheme().unwrap().name().to_lowercase();
        let tag_uri = format!("urn:epc:tag:{scheme}:{}.", from_tag.filter());
        assert!(text("tag_uri").unwrap().starts_with(&tag_uri), "{name}");
        let back = match epc.scheme() {
            Some(Scheme::Sgtin96) => from_tag.to_sgtin_96().unwrap(),
            _ => from_tag.to_sgtin_198(),
        };
        assert_eq!(back, epc, "{name}");
        encoded += 1;
    }
    assert!(encoded >= 2 || vectors().is_empty());
}

#[test]
fn other_schemes_are_recognised_and_name_no_gtin() {
    for vector in vectors() {
        let (Some(hex), Some(tag_uri)) = (vector["hex"].as_str(), vector["tag_uri"].as_str())
        else {
            continue;
        };
        let epc: Epc = hex.parse().unwrap();
        let scheme = epc.scheme().unwrap();
        let named = tag_uri.split(':').nth(3).unwrap();
        assert_eq!(scheme.name().to_lowercase(), named);
        let sgtin = matches!(scheme, Scheme::Sgtin96 | Scheme::Sgtin198);
        assert_eq!(epc.gtin().is_some(), sgtin, "{hex}");
        assert_eq!(epc.to_string(), hex.to_uppercase());
    }
}

#[test]
fn a_header_is_one_scheme() {
    for scheme in Scheme::ALL {
        assert_eq!(Scheme::from_header(scheme.header()), Some(*scheme));
    }
    let known = (0..=255).filter_map(Scheme::from_header).count();
    assert_eq!(known, Scheme::ALL.len());
    assert_eq!(Scheme::from_header(0), None);
}

#[test]
fn the_plus_schemes_spell_their_gtin_in_decimal() {
    let gtin = "09506000134352".parse::<Gtin>().unwrap();
    // Header, toggle and filter, 14 digits; then a serial that is not looked at.
    let plus: Epc = "F7009506000134352000AB".parse().unwrap();
    // Header, toggle and filter, kind of date, date, 14 digits.
    let dated: Epc = "FB04F25F0950600013435200".parse().unwrap();
    assert_eq!((plus.gtin(), dated.gtin()), (Some(gtin), Some(gtin)));
    let wrong_check_digit: Epc = "F7009506000134353000AB".parse().unwrap();
    let no_digit: Epc = "F700950600013435A000AB".parse().unwrap();
    let short: Epc = "F7009506".parse().unwrap();
    for epc in [wrong_check_digit, no_digit, short] {
        assert_eq!(epc.gtin(), None, "{epc}");
    }
}

#[test]
fn gtins_of_every_length_are_compared_as_gtin_14() {
    for (text, number) in [
        ("96385074", 96_385_074),
        ("036000291452", 36_000_291_452),
        ("4006381333931", 4_006_381_333_931),
        ("10614141000415", 10_614_141_000_415),
    ] {
        let gtin: Gtin = text.parse().unwrap();
        assert_eq!(gtin.as_u64(), number);
        assert_eq!(gtin.to_string().parse(), Ok(gtin));
    }
    let refusals = [
        "96385075",
        "0360002914",
        "",
        "４００６３８１３３３９３１",
        "-0638133393",
    ];
    let messages = refusals.map(|text| text.parse::<Gtin>().unwrap_err().to_string());
    insta::assert_snapshot!(messages.join("\n"), @r"
    `96385075` ends in check digit 5; its other digits ask for 4
    `0360002914` has 10 digits; a GTIN has 8, 12, 13 or 14 (UPC-E stands expanded)
    `` has 0 digits; a GTIN has 8, 12, 13 or 14 (UPC-E stands expanded)
    `４００６３８１３３３９３１` holds `４`, which is no digit
    `-0638133393` holds `-`, which is no digit
    ");
}

#[test]
fn bits_that_no_encoder_writes_are_refused() {
    for hex in [
        // Partition 7.
        "301C79D5D4ADB60000000000",
        // A company prefix of 12 digits that has 13.
        "3003FFFFFFFFFC0000000000",
        // No serial.
        "362579D5D4ADB600000000000000000000000000000000000000",
        // A character behind the serial's end.
        "362579D5D4ADB6172574B98B34C0000000000000000040000000",
        // Bits behind the 198th.
        "362579D5D4ADB6172574B98B34C0000000000000000000000001",
        // Cut short.
        "362579D5D4ADB6172574B98B34C0",
    ] {
        assert_eq!(hex.parse::<Epc>().unwrap().sgtin(), None, "{hex}");
    }
}

prop_compose! {
    fn any_sgtin()(
        payload in 0..10_u64.pow(13),
        serial in r#"[!"%&'()*+,./0-9:;<=>?A-Z_a-z-]{1,20}"#,
        filter in 0..8_u8,
        company_digits in 6..=12_u8,
    ) -> Sgtin {
        let gtin = Gtin::from_payload(payload).unwrap();
        Sgtin::new(gtin, &serial, filter, company_digits).unwrap()
    }
}

proptest! {
    #[test]
    fn sgtins_survive_198_bits_and_text(sgtin in any_sgtin()) {
        prop_assert_eq!(sgtin.to_sgtin_198().sgtin(), Some(sgtin.clone()));
        prop_assert_eq!(sgtin.to_sgtin_198().gtin(), Some(sgtin.gtin()));
        let read: Sgtin = sgtin.to_string().parse().unwrap();
        let unfiltered =
            Sgtin::new(sgtin.gtin(), sgtin.serial(), 0, sgtin.company_digits()).unwrap();
        prop_assert_eq!(read, unfiltered);
    }

    #[test]
    fn sgtins_survive_96_bits(sgtin in any_sgtin(), serial in 0..1_u64 << 38) {
        let (gtin, digits) = (sgtin.gtin(), sgtin.company_digits());
        let sgtin = Sgtin::new(gtin, &serial.to_string(), sgtin.filter(), digits).unwrap();
        let epc = sgtin.to_sgtin_96().unwrap();
        prop_assert_eq!(epc.sgtin(), Some(sgtin));
        prop_assert_eq!(epc.to_string().parse(), Ok(epc));
    }

    #[test]
    fn what_is_decoded_encodes_to_the_same_bytes(
        head in prop::sample::select(vec![0x30_u8, 0x36]),
        tail in prop::collection::vec(any::<u8>(), 0..62),
    ) {
        let epc = Epc::new(&[&[head], &tail[..]].concat()[..]);
        if let Some((epc, sgtin)) = epc.ok().and_then(|epc| Some((epc, epc.sgtin()?))) {
            let back = if head == 0x30 { sgtin.to_sgtin_96().unwrap() } else { sgtin.to_sgtin_198() };
            prop_assert!(back.as_bytes().starts_with(epc.as_bytes()));
        }
    }

    #[test]
    fn text_never_panics(text in "(urn:epc:id:sgtin:)?\\PC{0,40}", digits in "\\PC{0,16}") {
        if let Ok(sgtin) = text.parse::<Sgtin>() {
            prop_assert_eq!(sgtin.to_string().parse(), Ok(sgtin));
        }
        drop(digits.parse::<Gtin>());
        drop(text.parse::<Epc>());
    }
}
