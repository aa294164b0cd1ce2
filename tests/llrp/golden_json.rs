//! Messages of an Impinj reader as EdgeX's driver recorded them: bodies without a header, each with
//! the JSON of EdgeX's own structs. All fields are compared, both ways.

use std::path::{Path, PathBuf};

use basketd::wire::llrp::{Element, Message, Value};
use serde_json::Value as Json;

/// EdgeX's names that are not the standard's.
const NAMES: &[(&str, &str)] = &[
    ("AirProtocolIDs", "ProtocolID"),
    ("AntennaConfigurations", "AntennaConfiguration"),
    ("BackscatterDataRate", "BDRValue"),
    ("C1G2CRC", "C1G2_CRC"),
    ("C1G2PC", "C1G2_PC"),
    ("C1G2RFModes", "C1G2UHFRFModeTable"),
    ("CRCEnabled", "EnableCRC"),
    ("ClientRequestedOpSpecTimeout", "ClientRequestOpSpecTimeout"),
    ("Data", "GPOData"),
    ("DeviceManufacturer", "DeviceManufacturerName"),
    ("DivideRatio", "DRValue"),
    ("EPC96", "EPC_96"),
    (
        "EnableInventoryParamSpecID",
        "EnableInventoryParameterSpecID",
    ),
    ("Enabled", "Config"),
    ("EventNotificationStates", "EventNotificationState"),
    ("FirmwareVersion", "ReaderFirmwareVersion"),
    ("FirstSeenUTC", "FirstSeenTimestampUTC"),
    ("Frequencies", "Frequency"),
    ("FrequencyHopTables", "FrequencyHopTable"),
    ("GPIPortCurrentStates", "GPIPortCurrentState"),
    ("HasUTCClock", "HasUTCClockCapability"),
    ("Interval", "PeriodicTriggerValue"),
    ("IsEPCHagConformant", "EPCHAGTCConformance"),
    ("KeepAliveSpec", "KeepaliveSpec"),
    ("LLRPConfigurationState", "LLRPConfigurationStateValue"),
    ("MaxAccessSpecs", "MaxNumAccessSpecs"),
    (
        "MaxInventoryParameterSpecsPerAISpec",
        "MaxNumInventoryParameterSpecsPerAISpec",
    ),
    ("MaxOpSpecsPerAccessSpec", "MaxNumOpSpecsPerAccessSpec"),
    ("MaxPriorityLevelSupported", "MaxNumPriorityLevelsSupported"),
    ("MaxROSpecs", "MaxNumROSpecs"),
    ("MaxSelectFiltersPerQuery", "MaxNumSelectFiltersPerQuery"),
    ("MaxSpecsPerROSpec", "MaxNumSpecsPerROSpec"),
    ("MaxSupportedAntennas", "MaxNumberOfAntennaSupported"),
    ("MaxTariTime", "MaxTariValue"),
    ("MinTariTime", "MinTariValue"),
    ("ModeID", "ModeIdentifier"),
    ("Model", "ModelName"),
    ("Modulation", "MValue"),
    ("NotificationEnabled", "NotificationState"),
    ("PCBitsEnabled", "EnablePCBits"),
    ("PIERatio", "PIEValue"),
    ("PerAntennaAirProtocols", "PerAntennaAirProtocol"),
    ("Port", "GPIPortNum"),
    ("Port", "GPOPortNumber"),
    ("RFControl", "C1G2RFControl"),
    ("RFModeID", "ModeIndex"),
    ("ReaderEventType", "EventType"),
    ("ReceiveSensitivities", "ReceiveSensitivityTableEntry"),
    ("ReceiveSensitivity", "ReceiveSensitivityValue"),
    ("SingulationControl", "C1G2SingulationControl"),
    ("SpectralMask", "SpectralMaskIndicator"),
    ("Status", "StatusCode"),
    ("StepTariTime", "StepTariValue"),
    ("SupportsBlockErase", "CanSupportBlockErase"),
    ("SupportsBlockPermalock", "CanSupportBlockPermalock"),
    ("SupportsBlockWrite", "CanSupportBlockWrite"),
    (
        "SupportsEventsAndReportHolding",
        "SupportsEventAndReportHolding",
    ),
    ("SupportsTagRecommissioning", "CanSupportTagRecommissioning"),
    ("SupportsUMIMethod2", "CanSupportUMIMethod2"),
    ("SupportsXPC", "CanSupportXPC"),
    ("TransmitPowerIndex", "TransmitPower"),
    ("TransmitPowerLevels", "TransmitPowerLevelTableEntry"),
    ("Trigger", "AccessReportTrigger"),
    ("Trigger", "KeepaliveTriggerType"),
    ("Trigger", "ROReportTrigger"),
    ("UHFC1G2RFModeTableEntries", "C1G2UHFRFModeTableEntry"),
    ("XPCBitsEnabled", "EnableXPCBits"),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "bytes") {
            found.push(path);
        }
    }
}

/// `GetROSpecsResponse-000.bytes` holds a GET_ROSPECS_RESPONSE.
fn number(path: &Path) -> u16 {
    let name = path.file_stem().unwrap().to_str().unwrap();
    match name.split('-').next().unwrap() {
        "CloseConnectionResponse" => 4,
        "GetReaderCapabilitiesResponse" => 11,
        "GetReaderConfigResponse" => 12,
        "GetROSpecsResponse" => 36,
        "GetAccessSpecsResponse" => 54,
        "ROAccessReport" => 61,
        "ReaderEventNotification" => 63,
        other => panic!("which message is {other}?"),
    }
}

fn with_header(number: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 10).unwrap();
    let mut bytes = (1 << 10 | number).to_be_bytes().to_vec();
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 0, 0, 1]);
    bytes.extend(body);
    bytes
}

#[test]
fn what_an_impinj_reader_said_is_what_edgex_understood() {
    let folder = Path::new("../shared/captures/llrp/edgex-impinj");
    let mut paths = Vec::new();
    files(folder, &mut paths);
    if paths.is_empty() {
        println!("skipped: no {}", folder.display());
        return;
    }
    let mut compared = 0;
    for path in paths {
        let bytes = with_header(number(&path), &std::fs::read(&path).unwrap());
        let message = Message::decode(&bytes).unwrap();
        assert_eq!(message.encode().unwrap(), bytes, "{}", path.display());
        let text = std::fs::read(path.with_extension("json")).unwrap();
        let json: Json = serde_json::from_slice(&text).unwrap();
        let fields = same(&message.body, &json, &path.display().to_string());
        assert_eq!(fields, all_fields(&message.body), "{}", path.display());
        compared += fields;
    }
    println!("{compared} fields agree");
}

fn all_fields(element: &Element) -> usize {
    let below: usize = element.parameters().iter().map(all_fields).sum();
    element.fields().count() + below
}

/// Gives the number of the element's fields, and of those below it, that the JSON told.
fn same(element: &Element, json: &Json, at: &str) -> usize {
    let object = json.as_object().unwrap();
    object
        .iter()
        .map(|(key, json)| member(element, key, json, &format!("{at}/{key}")))
        .sum()
}

fn member(element: &Element, key: &str, json: &Json, at: &str) -> usize {
    let has = |name: &&str| element.field(name).is_some() || element.param(name).is_some();
    let renamed = NAMES.iter().filter(|(edgex, _)| *edgex == key);
    let name = renamed
        .map(|(_, standard)| *standard)
        .find(has)
        .unwrap_or(key);
    if let Some(value) = element.field(name) {
        return scalar(value, json, at);
    }
    let all: Vec<&Element> = element.params(name).collect();
    match json {
        Json::Null => none(&all, at),
        Json::Array(items) => {
            assert_eq!(items.len(), all.len(), "{at}");
            items
                .iter()
                .zip(all)
                .map(|(json, element)| same(element, json, at))
                .sum()
        }
        Json::Object(_) => match all[..] {
            [one] => same(one, json, at),
            // What is absent is told empty.
            [] if json["EPCNumBits"] == 0 => 0,
            _ => panic!("{at}: {} of {name}, and one in JSON", all.len()),
        },
        // A parameter of one field is told as that; an absent one sometimes as 0.
        _ => match all[..] {
            [] if json == &Json::from(0) => 0,
            [one] => scalar(one.fields().next().unwrap().1, json, at),
            _ => panic!("{at}: {} of {name}, and {json} in JSON", all.len()),
        },
    }
}

fn none(all: &[&Element], at: &str) -> usize {
    assert!(all.is_empty(), "{at}");
    0
}

fn scalar(value: &Value, json: &Json, at: &str) -> usize {
    let equal = match (value, json) {
        (Value::Unsigned(n), Json::Bool(flag)) => *n == u64::from(*flag),
        (Value::Unsigned(n), json) => json.as_u64() == Some(*n),
        (Value::Signed(n), json) => json.as_i64() == Some(*n),
        (Value::Text(text), json) => json.as_str() == Some(text),
        (Value::Words(words), json) => *json == words.iter().copied().collect::<Json>(),
        (Value::DoubleWords(n), json) => *json == n.iter().copied().collect::<Json>(),
        (Value::Bytes(bytes), Json::String(text)) => base64(text) == **bytes,
        (Value::Bytes(bytes), json) => *json == bytes.iter().copied().collect::<Json>(),
        (Value::Bits(bits), json) => base64(json.as_str().unwrap()) == bits.bytes(),
    };
    assert!(equal, "{at}: {value:?}, and {json} in JSON");
    1
}

fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> = text.bytes().filter(|c| *c != b'=').map(digit).collect();
    let group = |chunk: &[u8]| {
        let bits = chunk.iter().fold(0_u32, |n, d| n << 6 | u32::from(*d));
        let bits = bits << (6 * (4 - chunk.len()));
        bits.to_be_bytes()[1..chunk.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
