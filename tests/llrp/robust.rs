//! What no reader should send, and what every message must survive.

use basketd::wire::llrp::{
    Definition, Draft, Element, Epc, Message, TagReportData, Value, Version, check, commands,
    decode, tag_reports,
};
use proptest::prelude::*;

use crate::random::{self, Dice};

/// Whatever the bytes are: nothing panics, and what is decoded comes back.
fn try_all(bytes: &[u8]) {
    for report in tag_reports(bytes) {
        drop(report.map(|report| report.op_results().count()));
    }
    if let Ok(message) = Message::decode(bytes) {
        assert_eq!(message.encode().unwrap(), bytes);
        serde_json::to_string(&message.body).unwrap();
        drop(message.status().map(|status| status.to_string()));
        drop(check::problems(&message.body));
    }
}

/// A header of the right length before the bytes.
fn framed(number: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 10).unwrap();
    let head = [&(1 << 10 | number).to_be_bytes()[..], &length.to_be_bytes()];
    [&head.concat()[..], &[0, 0, 0, 9], body].concat()
}

fn tlv(number: u16, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 4).unwrap();
    [&number.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_never_panic(
        number in 0_u16..1024,
        body in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        try_all(&body);
        try_all(&framed(number, &body));
        try_all(&framed(61, &tlv(240, &body)));
    }

    #[test]
    fn random_messages_of_the_table_come_back(seed in any::<u64>(), id in any::<u32>()) {
        let draft = random::message(&mut Dice::new(seed));
        let message = draft.message(Version::V1_1, id).unwrap();
        let bytes = message.encode().unwrap();
        let back = Message::decode(&bytes).unwrap();
        prop_assert_eq!(&back, &message);
        prop_assert_eq!(back.encode().unwrap(), bytes);
        let unmannered = check::problems(&back.body)
            .into_iter()
            .find(|p| !matches!(p, check::Problem::UnknownEntry { .. }));
        prop_assert_eq!(unmannered, None);
    }

    #[test]
    fn flipped_bytes_are_survived(seed in any::<u64>(), flips in 1_usize..8) {
        let mut dice = Dice::new(seed);
        let mut bytes = random::message(&mut dice).encode(Version::V1_0_1, 1).unwrap();
        for _ in 0..flips {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        try_all(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Also with lengths that were put right around the cut.
    #[test]
    fn a_message_cut_at_any_byte_is_refused_or_comes_back(seed in any::<u64>()) {
        let bytes = random::message(&mut Dice::new(seed)).encode(Version::V1_0_1, 1).unwrap();
        for cut in 0..bytes.len() {
            prop_assert!(Message::decode(&bytes[..cut]).is_err());
            try_all(&bytes[..cut]);
            if cut >= 10 {
                let number = u16::from_be_bytes([bytes[0], bytes[1]]) & 0x3FF;
                try_all(&framed(number, &bytes[10..cut]));
            }
        }
    }
}

fn refusal(bytes: &[u8]) -> String {
    Message::decode(bytes).unwrap_err().to_string()
}

#[test]
fn a_refusal_tells_the_element_the_byte_and_the_reason() {
    let seen = [
        // A length of zero, one beyond its parent, one beyond the message.
        refusal(&framed(61, &[0, 240, 0, 0])),
        refusal(&framed(61, &tlv(240, &[0, 241, 0, 99, 0, 96]))),
        refusal(&framed(61, &[0, 240, 255, 255, 0x81, 0, 1])),
        // A count beyond its parameter, in bits and in words.
        refusal(&framed(61, &tlv(240, &tlv(241, &[0, 96, 1, 2])))),
        refusal(&framed(20, &tlv(177, &[0; 3]))),
        refusal(&framed(61, &tlv(240, &tlv(349, &[0, 0, 1, 0xFF, 0xFF])))),
        // A parameter without a length, cut short.
        refusal(&framed(61, &tlv(240, &[0x8D, 1, 2, 3]))),
        refusal(&framed(61, &tlv(240, &[0x84]))),
        refusal(&framed(61, &[0, 240, 0])),
        refusal(&framed(61, &[0x40, 240, 0, 4])),
        refusal(&framed(61, &[])[..9]),
        refusal(&[&framed(61, &[])[..], &[0]].concat()),
    ];
    insta::assert_snapshot!(seen.join("\n"), @r"
    RO_ACCESS_REPORT, at byte 10: TagReportData (parameter type 240) says it is 0 bytes long, and its head alone has 4
    RO_ACCESS_REPORT/TagReportData, at byte 14: EPCData (parameter type 241) says it is 99 bytes long, and 6 are left
    RO_ACCESS_REPORT, at byte 10: TagReportData (parameter type 240) says it is 65535 bytes long, and 7 are left
    RO_ACCESS_REPORT/TagReportData/EPCData, at byte 20: field EPC needs 12 bytes, and 2 are left
    ADD_ROSPEC/ROSpec, at byte 14: field ROSpecID needs 4 bytes, and 3 are left
    RO_ACCESS_REPORT/TagReportData/C1G2ReadOpSpecResult, at byte 23: field ReadData needs 131070 bytes, and 0 are left
    RO_ACCESS_REPORT/TagReportData/EPC_96, at byte 15: field EPC needs 12 bytes, and 3 are left
    RO_ACCESS_REPORT/TagReportData/LastSeenTimestampUTC, at byte 15: field Microseconds needs 8 bytes, and 0 are left
    RO_ACCESS_REPORT, at byte 10: 3 byte(s) are left, too few for the head of a parameter
    RO_ACCESS_REPORT, at byte 10: the reserved bits before TagReportData (parameter type 240) are set: 0x40f0
    at byte 0: 9 byte(s), too few for a message's header of 10
    at byte 2: the header says 10 bytes, and there are 11
    ");
}

#[test]
fn parameters_nested_without_end_are_refused() {
    let mut body = tlv(289, &[0, 1, 0, 100]);
    while body.len() < 60_000 {
        body = tlv(289, &[&[0, 1, 0, 100], &body[..]].concat());
    }
    let refused = refusal(&framed(
        100,
        &tlv(287, &[&[0, 100, 0, 0], &body[..]].concat()),
    ));
    assert!(refused.contains("nested more than 32 deep"), "{refused}");
    let mut draft = Draft::new("FieldError");
    for _ in 0..5_000 {
        draft = Draft::new("ParameterError").with(draft);
    }
    assert!(draft.element().is_err());
}

#[test]
fn what_is_unknown_is_kept_as_it_is() {
    // A message of no known type, parameters of no known type, one with a length though its number
    // has none, a Custom that is too short for a vendor, one of Impinj's that is not as it should
    // be, and a parameter without a length whose end nobody knows.
    let custom = |body: &[u8]| tlv(1023, body);
    let impinj = [0, 0, 0x65, 0x1A, 0, 0, 0, 57];
    let odd = [
        tlv(900, &[1, 2, 3]),
        tlv(13, &[1]),
        custom(&[impinj.as_slice(), &[1]].concat()),
        custom(&[impinj.as_slice(), &[0xEB, 0x34]].concat()),
        custom(&[0, 0, 0, 1, 0, 0, 0, 57, 9]),
        vec![0xFF, 1, 2, 3],
    ]
    .concat();
    let bytes = framed(61, &odd);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.encode().unwrap(), bytes);
    let json = serde_json::to_string(&message.body).unwrap();
    insta::assert_snapshot!(json, @r#"{"Unknown":[{"type":900,"bytes":"010203"},{"type":13,"bytes":"01"}],"Custom":[{"VendorIdentifier":25882,"ParameterSubtype":57,"Data":"01"},{"VendorIdentifier":1,"ParameterSubtype":57,"Data":"09"}],"ImpinjPeakRSSI":[{"VendorIdentifier":25882,"ParameterSubtype":57,"RSSI":-5324}],"Unparsed":[{"bytes":"FF010203"}]}"#);
    let bytes = framed(777, &[1, 2, 3]);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!((message.name(), message.number()), ("Unknown", 777));
    assert_eq!(message.encode().unwrap(), bytes);
}

/// Known bugs of others: EPCs that are no whole bytes, details of singulation in an AISpecEvent,
/// vendors' parameters under choices, text that is no UTF-8.
#[test]
fn what_others_stumble_over() {
    let bits = basketd::wire::llrp::BitArray::new(11, vec![0xAB, 0xFF]).unwrap();
    let vendor = Draft::new("Custom")
        .set("VendorIdentifier", 1_u8)
        .set("ParameterSubtype", 2_u8)
        .set("Data", vec![3_u8]);
    let epc = Draft::new("EPCData").set("EPC", bits);
    let report = Draft::new("TagReportData").with(epc).with(vendor.clone());
    let draft = Draft::new("RO_ACCESS_REPORT").with(report).with(vendor);
    let bytes = draft.encode(Version::V1_0_1, 1).unwrap();
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.encode().unwrap(), bytes);
    let epc = message
        .param("TagReportData")
        .unwrap()
        .param("EPCData")
        .unwrap();
    let bits = epc.field("EPC").and_then(Value::as_bits).unwrap();
    // The bits after the eleventh stay, too.
    assert_eq!((bits.count(), bits.bytes()), (11, &[0xAB, 0xFF][..]));
    let report = tag_reports(&bytes).next().unwrap().unwrap();
    let wanted = Epc {
        bits: 11,
        bytes: &[0xAB, 0xFF],
    };
    assert_eq!(report.epc, Some(wanted));

    let details = Draft::new("C1G2SingulationDetails")
        .set("NumCollisionSlots", 4_u8)
        .set("NumEmptySlots", 5_u8);
    let event = Draft::new("AISpecEvent")
        .set("EventType", "End_Of_AISpec")
        .set("ROSpecID", 1_u8)
        .set("SpecIndex", 1_u8)
        .with(details);
    let bytes = commands::reader_event(1, event)
        .encode(Version::V1_0_1, 1)
        .unwrap();
    assert_eq!(Message::decode(&bytes).unwrap().encode().unwrap(), bytes);

    let bytes = framed(100, &tlv(287, &[1, 145, 0, 2, 0xC3, 0x28]));
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.encode().unwrap(), bytes);
    assert_eq!(message.status().unwrap().to_string(), "R_DeviceError (401)");
}

#[test]
fn a_refused_request_says_where() {
    let field = Draft::new("FieldError")
        .set("FieldNum", 2_u8)
        .set("ErrorCode", "A_OutOfRange");
    let inner = Draft::new("ParameterError")
        .set("ParameterType", 178_u16)
        .set("ErrorCode", "P_FieldError")
        .with(field);
    let outer = Draft::new("ParameterError")
        .set("ParameterType", 177_u16)
        .set("ErrorCode", "P_ParameterError")
        .with(inner);
    let status = Draft::new("LLRPStatus")
        .set("StatusCode", "M_ParameterError")
        .set("ErrorDescription", "bad antenna")
        .with(outer);
    let message = Draft::new("ERROR_MESSAGE")
        .with(status)
        .message(Version::V1_0_1, 1)
        .unwrap();
    assert_eq!(
        message.status().unwrap().to_string(),
        "M_ParameterError (100), \"bad antenna\", in ROSpec: P_ParameterError (200), \
         in ROBoundarySpec: P_FieldError (201), field 2: A_OutOfRange (301)"
    );
}

#[test]
fn no_element_is_deeper_than_decoding_goes() {
    fn depth(definition: &Definition, seen: usize) -> usize {
        // Only errors hold themselves.
        if seen > 12 || definition.name == "ParameterError" {
            return seen;
        }
        let names = definition.slots.iter().flat_map(|slot| &slot.names);
        let below = names.map(|name| depth(Definition::find(name).unwrap(), seen + 1));
        below.max().unwrap_or(seen)
    }
    let deepest = Definition::all().iter().map(|d| depth(d, 0)).max().unwrap();
    assert!(deepest < decode::MAX_DEPTH / 2, "{deepest}");
}

#[test]
fn a_bad_report_does_not_hide_the_next() {
    let good = |n: u8| {
        tlv(
            240,
            &[0x8D, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, n, 0x81, 0, n],
        )
    };
    let bad = tlv(240, &[0x81, 0]);
    let bytes = framed(61, &[good(1), bad, good(2)].concat());
    let told: Vec<_> = tag_reports(&bytes)
        .map(|r| r.map(|r| r.antenna_id).map_err(|e| e.to_string()))
        .collect();
    let refused = "TagReportData, at byte 35: field AntennaID needs 2 bytes, and 1 are left";
    assert_eq!(told, [Ok(Some(1)), Err(refused.to_owned()), Ok(Some(2))]);
    let refused = tag_reports(&framed(62, &[])).next().unwrap().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "at byte 0: KEEPALIVE (message type 62) is no RO_ACCESS_REPORT"
    );
}

fn field<T: TryFrom<u64>>(element: &Element, parameter: &str, name: &str) -> Option<T> {
    let value = element.params(parameter).last()?.number(name)?;
    Some(T::try_from(value).ok().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The fast way reads what the tree holds.
    #[test]
    fn the_fast_way_agrees_with_the_tree(seed in any::<u64>()) {
        let report = Definition::find("RO_ACCESS_REPORT").unwrap();
        let draft = random::element(report, &mut Dice::new(seed), 0);
        let bytes = draft.encode(Version::V1_1, 1).unwrap();
        let message = Message::decode(&bytes).unwrap();
        let fast: Vec<TagReportData<'_>> = tag_reports(&bytes).map(Result::unwrap).collect();
        let trees: Vec<&Element> = message.params("TagReportData").collect();
        prop_assert_eq!(fast.len(), trees.len());
        for (fast, tree) in fast.iter().zip(trees) {
            compare(fast, tree);
        }
    }
}

fn compare(fast: &TagReportData<'_>, tree: &Element) {
    let bits = tree
        .param("EPCData")
        .and_then(|e| e.field("EPC")?.as_bits());
    let whole = tree
        .param("EPC_96")
        .and_then(|e| e.field("EPC")?.as_bytes());
    let epc = bits.map(|bits| (bits.count(), bits.bytes()));
    let epc = epc.or(whole.map(|bytes| (96, bytes)));
    assert_eq!(fast.epc.map(|epc| (epc.bits, epc.bytes)), epc);
    assert_eq!(fast.rospec_id, field(tree, "ROSpecID", "ROSpecID"));
    assert_eq!(fast.spec_index, field(tree, "SpecIndex", "SpecIndex"));
    let id = "InventoryParameterSpecID";
    assert_eq!(fast.inventory_parameter_spec_id, field(tree, id, id));
    assert_eq!(fast.antenna_id, field(tree, "AntennaID", "AntennaID"));
    assert_eq!(
        fast.channel_index,
        field(tree, "ChannelIndex", "ChannelIndex")
    );
    assert_eq!(fast.tag_seen_count, field(tree, "TagSeenCount", "TagCount"));
    assert_eq!(
        fast.access_spec_id,
        field(tree, "AccessSpecID", "AccessSpecID")
    );
    let us = |name| field(tree, name, "Microseconds");
    assert_eq!(fast.first_seen_utc_us, us("FirstSeenTimestampUTC"));
    assert_eq!(fast.first_seen_uptime_us, us("FirstSeenTimestampUptime"));
    assert_eq!(fast.last_seen_utc_us, us("LastSeenTimestampUTC"));
    assert_eq!(fast.last_seen_uptime_us, us("LastSeenTimestampUptime"));
    assert_eq!(fast.pc_bits, field(tree, "C1G2_PC", "PC_Bits"));
    assert_eq!(fast.crc, field(tree, "C1G2_CRC", "CRC"));
    assert_eq!(fast.xpc_w1, field(tree, "C1G2_XPCW1", "XPC_W1"));
    assert_eq!(fast.xpc_w2, field(tree, "C1G2_XPCW2", "XPC_W2"));
    let rssi = tree
        .param("PeakRSSI")
        .and_then(|p| p.field("PeakRSSI")?.as_i64());
    assert_eq!(fast.peak_rssi_dbm.map(i64::from), rssi);
    let named = |p: &&Element| p.name().starts_with("C1G2") && p.name().ends_with("OpSpecResult");
    let results: Vec<_> = tree.parameters().iter().filter(named).collect();
    assert_eq!(fast.op_results().count(), results.len());
    for (fast, tree) in fast.op_results().zip(results) {
        assert_eq!(Some(u64::from(fast.result)), tree.number("Result"));
        assert_eq!(Some(u64::from(fast.op_spec_id)), tree.number("OpSpecID"));
        let words = tree.field("ReadData").or(tree.field("PermalockStatus"));
        let words = words.and_then(Value::as_words).unwrap_or_default();
        assert_eq!(fast.words.iter().collect::<Vec<_>>(), words);
        let written = tree.number("NumWordsWritten").unwrap_or(0);
        assert_eq!(u64::from(fast.words_written), written);
    }
}
