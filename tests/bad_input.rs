//! What bad input does: a clear error, or a loss that is counted and named; never a panic, never a
//! silent zero.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use basketd::recording::writer::RecordingWriter;
use image::{ImageFormat, RgbImage};

const KIOSK_STORE: &str = "config/kiosk/store.toml";
/// 2026-03-02T09:00:00Z.
const BEGIN_NS: u64 = 1_772_442_000_000_000_000;

const SCALE: &str = "/scale/g1-s1-p1";
const READER: &str = "/rfid/r1";
const CAMERA: &str = "/camera/cam1/detections";
const IMAGE: &str = "/camera/cam1/image";
const WEIGHT: &[u8] = br#"{"grams": 1000.0}"#;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The exit code, and all that was printed.
fn basketd(args: &[&str]) -> (i32, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_basketd"))
        .current_dir(root())
        .env("BASKETD_BACKEND", "tract")
        .args(args)
        .output()
        .expect("the program starts");
    let text = [done.stdout, done.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    (done.status.code().unwrap_or(-1), text)
}

fn replayed(recording: &[u8], store: &str) -> (i32, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), recording).unwrap();
    basketd(&["replay", file.path().to_str().unwrap(), "--store", store])
}

/// MCAP, record by record: what no writer would write.
mod raw {
    pub(super) const MAGIC: &[u8] = b"\x89MCAP0\r\n";

    pub(super) fn record(opcode: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u64).to_le_bytes();
        [&[opcode], &length[..], body].concat()
    }

    fn text(text: &str) -> Vec<u8> {
        let length = (text.len() as u32).to_le_bytes();
        [&length[..], text.as_bytes()].concat()
    }

    pub(super) fn head() -> Vec<u8> {
        let header = [text("basketd"), text("test")].concat();
        [MAGIC.to_vec(), record(1, &header)].concat()
    }

    pub(super) fn schema(id: u16, name: &str) -> Vec<u8> {
        let parts = [
            id.to_le_bytes().to_vec(),
            text(name),
            text("jsonschema"),
            text("{}"),
        ];
        record(3, &parts.concat())
    }

    pub(super) fn channel(id: u16, schema: u16, topic: &str, encoding: &str) -> Vec<u8> {
        let parts = [
            id.to_le_bytes().to_vec(),
            schema.to_le_bytes().to_vec(),
            text(topic),
            text(encoding),
            vec![0; 4],
        ];
        record(4, &parts.concat())
    }

    pub(super) fn message(channel: u16, log: u64, publish: u64, data: &[u8]) -> Vec<u8> {
        let parts = [
            &channel.to_le_bytes()[..],
            &[0; 4],
            &log.to_le_bytes(),
            &publish.to_le_bytes(),
            data,
        ];
        record(5, &parts.concat())
    }

    /// A chunk with what it claims of itself; a sum of 0 is none.
    pub(super) fn chunk(inner: &[u8], sum: u32, compression: &str, size: u64) -> Vec<u8> {
        let parts = [
            vec![0; 16],
            size.to_le_bytes().to_vec(),
            sum.to_le_bytes().to_vec(),
            text(compression),
            (inner.len() as u64).to_le_bytes().to_vec(),
            inner.to_vec(),
        ];
        record(6, &parts.concat())
    }

    pub(super) fn end() -> Vec<u8> {
        [record(15, &[0; 4]), record(2, &[0; 20]), MAGIC.to_vec()].concat()
    }

    pub(super) fn metadata(pairs: &[(&str, &str)]) -> Vec<u8> {
        let map: Vec<u8> = pairs
            .iter()
            .flat_map(|(key, value)| [text(key), text(value)].concat())
            .collect();
        let parts = [
            text("basketd"),
            (map.len() as u32).to_le_bytes().to_vec(),
            map,
        ];
        record(12, &parts.concat())
    }
}

/// Messages of one topic, a second apart: log time, capture time.
fn of(topic: &str, messages: &[(u64, u64, Vec<u8>)]) -> Vec<u8> {
    let (schema, encoding) = match topic.split('/').nth(1).unwrap() {
        "rfid" => ("basketd.TagRead", "json"),
        "scale" => ("basketd.Weight", "json"),
        "gate" => ("basketd.GateEvent", "json"),
        "command" => ("basketd.Command", "json"),
        "gap" => ("basketd.SourceGap", "json"),
        _ if topic.ends_with("image") => ("foxglove.CompressedImage", "protobuf"),
        _ => ("basketd.Detections", "json"),
    };
    let mut file = raw::head();
    file.extend(raw::schema(1, schema));
    file.extend(raw::channel(1, 1, topic, encoding));
    for (log, publish, data) in messages {
        file.extend(raw::message(1, *log, *publish, data));
    }
    file.extend(raw::end());
    file
}

fn one(topic: &str, payload: &[u8]) -> Vec<u8> {
    of(topic, &[(BEGIN_NS, BEGIN_NS, payload.to_vec())])
}

#[test]
fn refused_messages_are_counted_and_named() {
    let person = |more: &str| {
        format!(
            r#"{{"width": 640, "height": 360, "detections": [{{"class": "person", "score": 0.9, "box": [1, 1, 9, 9]{more}}}]}}"#
        )
    };
    let product = |gtins: &str| {
        format!(
            r#"{{"width": 640, "height": 360, "detections": [{{"class": "product", "score": 0.9, "box": [1, 1, 9, 9], "gtins": {gtins}}}]}}"#
        )
    };
    let read = |epc: &str, antenna: &str| {
        format!(r#"{{"epc": "{epc}", "antenna": {antenna}, "rssi_dbm": -50}}"#)
    };
    let long = "AB".repeat(500);
    let cases: Vec<(&str, String, &str)> = vec![
        (
            READER,
            read("ABC", "1"),
            "`ABC` is not an even number of hexadecimal digits",
        ),
        (READER, read("30GG", "1"), "1 x /rfid/r1: "),
        (
            READER,
            read("", "1"),
            "an EPC of 0 bytes; a tag holds 1 to 62",
        ),
        (
            READER,
            read(&long, "1"),
            "an EPC of 500 bytes; a tag holds 1 to 62",
        ),
        (
            READER,
            read("30AA", "0"),
            "antenna 0 is not in the store file",
        ),
        (READER, read("30AA", "-1"), "invalid value: integer `-1`"),
        (
            READER,
            r#"{"epc": "30AA", "antenna": 1}"#.to_owned(),
            "missing field `rssi_dbm`",
        ),
        (
            READER,
            r#"["30AA", 1, -50, null, null]"#.to_owned(),
            "an array; expected an object",
        ),
        (
            SCALE,
            r#"{"grams": 1e300}"#.to_owned(),
            "`grams` is not a finite number of a sensible size",
        ),
        (
            SCALE,
            r#"{"grams": -1e300}"#.to_owned(),
            "`grams` is not a finite number of a sensible size",
        ),
        (
            SCALE,
            r#"{"grams": "12"}"#.to_owned(),
            "invalid type: string",
        ),
        (SCALE, String::new(), "EOF while parsing a value"),
        (SCALE, "[".repeat(100_000), "an array; expected an object"),
        (
            SCALE,
            format!(r#"{{"grams": {}"#, "[".repeat(100_000)),
            "1 x /scale/g1-s1-p1: ",
        ),
        (
            CAMERA,
            r#"{"width": 0, "height": 360, "detections": []}"#.to_owned(),
            "`width` and `height` are not those of an image",
        ),
        (
            CAMERA,
            r#"{"width": 640, "height": -1, "detections": []}"#.to_owned(),
            "`width` and `height` are not those of an image",
        ),
        (
            CAMERA,
            r#"{"width": 640, "height": 360}"#.to_owned(),
            "missing field `detections`",
        ),
        (
            CAMERA,
            person("").replace("0.9", "-0.1"),
            "a `score` outside 0 to 1",
        ),
        (
            CAMERA,
            person("").replace("0.9", "1.5"),
            "a `score` outside 0 to 1",
        ),
        (
            CAMERA,
            person("").replace("[1, 1, 9, 9]", "[1, 1, 9]"),
            "invalid length 3",
        ),
        (
            CAMERA,
            person("").replace("[1, 1, 9, 9]", "[9, 9, 9, 9]"),
            "outside the image",
        ),
        (
            CAMERA,
            person("").replace("person", "cat"),
            "an unknown class",
        ),
        (
            CAMERA,
            person(r#", "embedding": [1e999]"#),
            "number out of range",
        ),
        (
            CAMERA,
            product(r#"{"02000000010052": 0.9, "02000000010038": 0.9}"#),
            "`gtins` are not probabilities that sum to 1 at most",
        ),
        (
            CAMERA,
            product(r#"{"02000000010052": -0.1}"#),
            "`gtins` are not probabilities",
        ),
        (
            CAMERA,
            product(r#"{"02000000010053": 0.1}"#),
            "ends in check digit 3",
        ),
        (
            CAMERA,
            product(r#"{"96385074": 0.5}"#),
            "1 x /camera/cam1/detections: products that are not in the catalogue",
        ),
        (
            "/gate/door",
            r#"{"kind": "admitted"}"#.to_owned(),
            "missing field `token`",
        ),
        (
            "/gate/door",
            r#"{"kind": "admitted", "token": "a", "party": 0}"#.to_owned(),
            "a `party` outside 1 to 50",
        ),
        (
            "/gate/door",
            r#"{"kind": "dance"}"#.to_owned(),
            "unknown variant `dance`",
        ),
        (
            "/command",
            r#"{"command": "restock.begin", "shelf": "g9"}"#.to_owned(),
            "no shelf `g9`",
        ),
        (
            "/command",
            r#"{"command": "price.set", "gtin": "02000000010052", "price": "1.234"}"#.to_owned(),
            "`price` is \"1.234\"; expected a decimal in EUR",
        ),
        (
            "/command",
            r#"{"command": "visit.close", "visit": "v-x"}"#.to_owned(),
            "`visit` is \"v-x\"; expected one such as v-000017",
        ),
        (
            "/gap",
            r#"{"source": "camera/cam1", "lost": -1}"#.to_owned(),
            "invalid value: integer `-1`",
        ),
        (
            "/camera/cam9/detections",
            person(""),
            "the store file has no such camera",
        ),
    ];
    for (topic, payload, told) in cases {
        let (code, text) = replayed(&one(topic, payload.as_bytes()), KIOSK_STORE);
        let shown: String = payload.chars().take(200).collect();
        assert_eq!(code, 0, "{shown}: {text}");
        assert!(text.contains("lost       1\n"), "{shown}: {text}");
        assert!(text.contains(told), "{shown}: `{told}` is not in\n{text}");
    }
    // Odd, and right: nothing seen, another size than the camera's, a box partly outside.
    for payload in [
        r#"{"width": 640, "height": 360, "detections": []}"#.to_owned(),
        person("").replace("640", "1280").replace("360", "720"),
        person("").replace("[1, 1, 9, 9]", "[-1e9, -5, 100, 1e9]"),
    ] {
        let (code, text) = replayed(&one(CAMERA, payload.as_bytes()), KIOSK_STORE);
        assert!(
            code == 0 && text.contains("lost       0\n"),
            "{payload}: {text}"
        );
        assert!(text.contains(" 1 frames,"), "{payload}: {text}");
    }
}

#[test]
fn times_that_cannot_be_are_counted_and_named() {
    let second = 1_000_000_000;
    let decades = 30 * 365 * 86_400 * second;
    let told = "a capture time that cannot be; the log time counts";
    for publish in [
        0,
        BEGIN_NS - decades,
        BEGIN_NS + decades,
        BEGIN_NS + 60 * second,
        u64::MAX,
    ] {
        let messages: Vec<_> = (0..20)
            .map(|i| (BEGIN_NS + i * second, publish, WEIGHT.to_vec()))
            .collect();
        let (code, text) = replayed(&of(SCALE, &messages), KIOSK_STORE);
        assert!(
            code == 0 && text.contains("20 weights"),
            "{publish}: {text}"
        );
        assert!(
            text.contains(&format!("20 x {SCALE}: {told}")),
            "{publish}: {text}"
        );
    }
    // Late, and in bounds.
    let late = [(BEGIN_NS, BEGIN_NS - 60 * second, WEIGHT.to_vec())];
    let (_, text) = replayed(&of(SCALE, &late), KIOSK_STORE);
    assert!(text.contains("lost       0\n"), "{text}");
    // Log times from the first to the last that there are, not in order.
    let ends = [u64::MAX, 0, BEGIN_NS].map(|t| (t, t, WEIGHT.to_vec()));
    let (code, text) = replayed(&of(SCALE, &ends), KIOSK_STORE);
    assert!(code == 0 && text.contains("3 weights"), "{text}");
    assert!(
        text.contains("log times run back; its messages are sorted"),
        "{text}"
    );
}

#[test]
fn files_that_run_back_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let later = BEGIN_NS + 60_000_000_000;
    std::fs::write(at("late"), of(SCALE, &[(later, later, WEIGHT.to_vec())])).unwrap();
    std::fs::write(at("early"), one(SCALE, WEIGHT)).unwrap();
    let (code, text) = basketd(&["replay", &at("late"), &at("early"), "--store", KIOSK_STORE]);
    assert!(code == 0 && text.contains("2 weights"), "{text}");
    assert!(
        text.contains("begins before the file that it follows ends"),
        "{text}"
    );
}

#[test]
fn damaged_files_lose_what_is_damaged_and_say_so() {
    let weight = || raw::message(1, BEGIN_NS, BEGIN_NS, WEIGHT);
    let own = || {
        [
            raw::schema(1, "basketd.Weight"),
            raw::channel(1, 1, SCALE, "json"),
        ]
        .concat()
    };
    let whole = || [own(), weight()].concat();
    let inner = [own(), weight(), weight()].concat();
    let size = inner.len() as u64;
    let broken = [&inner[..], &[5, 255, 255, 255, 255, 255, 255, 255, 127, 1]].concat();
    let short = [own(), raw::record(5, b"abc"), weight()].concat();
    let no_text = [
        &1_u16.to_le_bytes()[..],
        &2_u32.to_le_bytes(),
        b"\xff\xfe",
        &[0; 8],
    ]
    .concat();
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        (
            "records of unknown kinds",
            [raw::record(0x77, b"abc"), whole()].concat(),
            " 1 weights",
            "lost       0",
        ),
        (
            "a schema declared twice",
            [own(), raw::schema(1, "other"), weight()].concat(),
            " 1 weights",
            "lost       0",
        ),
        (
            "a channel declared twice",
            [whole(), raw::channel(1, 1, "/weather", "json"), weight()].concat(),
            " 1 weights",
            "1 x /weather: an unknown topic",
        ),
        (
            "no channel",
            raw::message(7, BEGIN_NS, BEGIN_NS, WEIGHT),
            " 0 weights",
            "messages of a channel that the file does not declare",
        ),
        (
            "no schema",
            [raw::channel(1, 0, SCALE, "json"), weight()].concat(),
            " 0 weights",
            "schema `` in encoding `json`; expected `basketd.Weight`",
        ),
        (
            "a schema that is not there",
            [raw::channel(1, 9, SCALE, "json"), weight()].concat(),
            " 0 weights",
            "schema `` in encoding `json`",
        ),
        (
            "another encoding",
            [
                raw::schema(1, "basketd.Weight"),
                raw::channel(1, 1, SCALE, "cbor"),
                weight(),
            ]
            .concat(),
            " 0 weights",
            "in encoding `cbor`",
        ),
        (
            "a wrong sum",
            [raw::chunk(&inner, 12345, "", size), whole()].concat(),
            " 1 weights",
            "left out: Chunk CRC failed",
        ),
        (
            "a chunk that breaks off",
            [raw::chunk(&broken, 0, "", broken.len() as u64), whole()].concat(),
            " 3 weights",
            "4 records of it are read",
        ),
        (
            "a short record in a chunk",
            [raw::chunk(&short, 0, "", short.len() as u64), whole()].concat(),
            " 2 weights",
            "3 records of it are read",
        ),
        (
            "an unknown compression",
            [raw::chunk(&inner, 0, "snappy", size), whole()].concat(),
            " 1 weights",
            "left out: Unsupported compression format `snappy`",
        ),
        (
            "rubbish for zstd",
            [raw::chunk(&inner, 0, "zstd", size), whole()].concat(),
            " 1 weights",
            "left out: ",
        ),
        (
            "rubbish for lz4",
            [raw::chunk(&inner, 0, "lz4", size), whole()].concat(),
            " 1 weights",
            "left out: ",
        ),
        (
            "a chunk of an exabyte",
            [raw::chunk(&inner, 0, "", 1 << 60), whole()].concat(),
            " 1 weights",
            "bytes uncompressed; ",
        ),
        (
            "a record of an exabyte",
            [whole(), vec![5], (1_u64 << 60).to_le_bytes().to_vec()].concat(),
            " 1 weights",
            "length exceeds limit",
        ),
        (
            "a record too short",
            [own(), raw::record(5, b"abc"), weight()].concat(),
            " 1 weights",
            "record at byte",
        ),
        (
            "a name that is no text",
            [raw::record(3, &no_text), whole()].concat(),
            " 1 weights",
            "record at byte",
        ),
        (
            "another version",
            [raw::metadata(&[("version", "9")]), whole()].concat(),
            " 1 weights",
            "recorded in version `9` of the format, read as version `1`",
        ),
        (
            "another store",
            [
                raw::metadata(&[("version", "1"), ("store", "x"), ("store_sha256", "ab")]),
                whole(),
            ]
            .concat(),
            " 1 weights",
            "recorded in store `x`, replayed with store `kiosk-1`",
        ),
    ];
    for (name, body, weights, told) in cases {
        let file = [raw::head(), body, raw::end()].concat();
        let (code, text) = replayed(&file, KIOSK_STORE);
        assert_eq!(code, 0, "{name}: {text}");
        assert!(
            text.contains(weights),
            "{name}: `{weights}` is not in\n{text}"
        );
        assert!(text.contains(told), "{name}: `{told}` is not in\n{text}");
    }
    let (code, text) = replayed(raw::MAGIC, KIOSK_STORE);
    assert!(
        code == 0 && text.contains("the file ends without its end mark"),
        "{text}"
    );
    let file = [raw::head(), whole(), raw::end(), b"behind the end".to_vec()].concat();
    let (code, text) = replayed(&file, KIOSK_STORE);
    assert!(code == 0 && text.contains(" 1 weights"), "{text}");
}

#[test]
fn many_and_long_names_cost_little() {
    let mut file = raw::head();
    file.extend(raw::schema(1, "basketd.Weight"));
    for number in 1..20_000 {
        file.extend(raw::channel(
            number,
            1,
            &format!("/weather/{number}"),
            "json",
        ));
        file.extend(raw::message(number, BEGIN_NS, BEGIN_NS, WEIGHT));
    }
    file.extend(raw::channel(
        0,
        1,
        &format!("/scale/{}", "y".repeat(1 << 20)),
        "json",
    ));
    file.extend(raw::message(0, BEGIN_NS, BEGIN_NS, WEIGHT));
    file.extend(raw::end());
    let (code, text) = replayed(&file, KIOSK_STORE);
    assert!(code == 0 && text.contains("lost       20000\n"), "{text}");
    assert!(text.len() < 20_000, "{} bytes are printed", text.len());
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for args in [
        vec!["replay", path, "--store", KIOSK_STORE],
        vec![
            "replay",
            "tests/recordings/kiosk-one-shopper/recording.mcap",
            "--store",
            path,
        ],
        vec!["inspect", path],
        vec!["check", "--store", path],
        vec!["inspect", "/nonexistent"],
        vec!["inspect", "/nonexistent.onnx"],
        vec!["inspect", "/nonexistent.mcap"],
    ] {
        let (code, text) = basketd(&args);
        let named = args
            .iter()
            .any(|arg| arg.starts_with('/') && text.contains(arg));
        assert!(code == 1 && named, "{args:?}: {text}");
        assert_eq!(text.trim_end().lines().count(), 1, "{args:?}: {text}");
    }
}

/// The kiosk with the project's own model behind its camera.
fn store_with_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["catalog.csv", "tags.csv"] {
        std::fs::copy(root().join("config/kiosk").join(name), at(name)).unwrap();
    }
    let models = root().join("models");
    let text = std::fs::read_to_string(root().join(KIOSK_STORE)).unwrap();
    let text = text
        .replace("[state]", &format!("models = {models:?}\n[state]"))
        .replace("view = \"floor\"", "view = \"floor\"\nmodel = \"tiny\"");
    std::fs::write(at("store.toml"), text).unwrap();
    folder
}

/// A `foxglove.CompressedImage` with other fields around its data.
fn compressed_image(data: &[u8]) -> Vec<u8> {
    let mut message = vec![
        0x0a, 4, 8, 1, 16, 2, 0x28, 5, 0x31, 1, 2, 3, 4, 5, 6, 7, 8, 0x12,
    ];
    let mut length = data.len();
    while length >= 128 {
        message.push((length & 127) as u8 | 128);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend(data);
    message.extend([0x1a, 3, b'p', b'n', b'g', 0xfa, 1, 1, b'?']);
    message
}

fn picture(format: ImageFormat) -> Vec<u8> {
    let noise = |x: u32, y: u32| image::Rgb([(x * 7 + y * 13) as u8, (x * y) as u8, 9]);
    let picture = RgbImage::from_fn(64, 64, noise);
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

#[test]
fn frames_that_are_no_pictures_are_counted_and_named() {
    let (jpeg, png) = (picture(ImageFormat::Jpeg), picture(ImageFormat::Png));
    let cut = |bytes: &[u8], keep: usize| compressed_image(&bytes[..keep]);
    // A PNG whose header asks for more than any camera has: a side, and all together.
    let claiming = |width: u32, height: u32| {
        let mut bytes = png.clone();
        bytes[16..20].copy_from_slice(&width.to_be_bytes());
        bytes[20..24].copy_from_slice(&height.to_be_bytes());
        compressed_image(&bytes)
    };
    let mut odd_field = compressed_image(&png);
    odd_field.insert(0, 0x13);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "text",
            compressed_image(b"no picture"),
            "failed to read the picture",
        ),
        (
            "nothing",
            compressed_image(b""),
            "failed to read the picture",
        ),
        (
            "a GIF",
            compressed_image(b"GIF89a\x01\x00\x01\x00"),
            "not supported",
        ),
        (
            "half a JPEG",
            cut(&jpeg, jpeg.len() / 2),
            "a JPEG without its end mark",
        ),
        (
            "nearly a JPEG",
            cut(&jpeg, jpeg.len() - 1),
            "a JPEG without its end mark",
        ),
        (
            "half a PNG",
            cut(&png, png.len() / 2),
            "failed to read the picture",
        ),
        (
            "a wide bomb",
            claiming(100_000, 1),
            "failed to read the picture",
        ),
        ("a bomb", claiming(8000, 8000), "failed to read the picture"),
        ("no size", claiming(0, 0), "failed to read the picture"),
        ("no message", Vec::new(), "an image without data"),
        (
            "a cut message",
            compressed_image(&png)[..40].to_vec(),
            "a field runs past the end",
        ),
        ("another wire type", odd_field, "protobuf wire type 3"),
    ];
    let folder = store_with_model();
    let store = folder.path().join("store.toml");
    let store = store.to_str().unwrap();
    for (name, payload, told) in cases {
        let (code, text) = replayed(&one(IMAGE, &payload), store);
        assert_eq!(code, 0, "{name}: {text}");
        assert!(
            text.contains("lost       1\n") && text.contains(told),
            "{name}: {text}"
        );
    }
    for bytes in [&jpeg, &png, &[&jpeg[..], &[0; 100]].concat()] {
        let (code, text) = replayed(&one(IMAGE, &compressed_image(bytes)), store);
        assert!(code == 0 && text.contains(" 1 frames,"), "{text}");
    }
    // A store file without a model for the camera.
    let (code, text) = replayed(&one(IMAGE, &compressed_image(&png)), KIOSK_STORE);
    assert!(
        code == 0 && text.contains("1 x /camera/cam1/image: frames of a camera without a model"),
        "{text}"
    );
}

#[test]
fn a_model_of_other_shapes_refuses_the_replay() {
    let folder = store_with_model();
    let at = |name: &str| folder.path().join(name);
    let manifest = std::fs::read_to_string(root().join("models/tiny.toml")).unwrap();
    std::fs::copy(root().join("models/tiny.onnx"), at("tiny.onnx")).unwrap();
    let text = std::fs::read_to_string(at("store.toml")).unwrap();
    let models = format!("models = {:?}", root().join("models"));
    std::fs::write(at("store.toml"), text.replace(&models, "models = \".\"")).unwrap();
    let store = at("store.toml");
    let frame = one(IMAGE, &compressed_image(&picture(ImageFormat::Png)));
    for (old, new, told) in [
        (
            "yolox",
            "fastestdet",
            "family fastestdet with 2 labels has [1,7,4,4]",
        ),
        (
            "\"blue\"]",
            "\"blue\", \"grey\"]",
            "family yolox with 3 labels has [1,84,8]",
        ),
        (
            "width = 64",
            "width = 96",
            "does not take f32 [1, 3, 64, 96]",
        ),
        ("tiny.onnx\"", "tinier.onnx\"", "failed to read "),
    ] {
        assert!(manifest.contains(old), "{old}");
        std::fs::write(at("tiny.toml"), manifest.replace(old, new)).unwrap();
        let (code, text) = replayed(&frame, store.to_str().unwrap());
        assert!(code == 1 && text.contains(told), "{old} -> {new}: {text}");
    }
}

/// A scale that is declared first and speaks last, and log times that run back.
#[test]
fn channels_declared_up_front_keep_their_messages() {
    let read = br#"{"epc": "30AA", "antenna": 1, "rssi_dbm": -50}"#;
    let seen = br#"{"width": 640, "height": 360, "detections": []}"#;
    let declared = || {
        [
            raw::head(),
            raw::schema(1, "basketd.Weight"),
            raw::schema(2, "basketd.Detections"),
            raw::schema(3, "basketd.TagRead"),
            raw::channel(1, 1, SCALE, "json"),
            raw::channel(2, 2, CAMERA, "json"),
            raw::channel(3, 3, READER, "json"),
        ]
        .concat()
    };
    let at = |s: u64| BEGIN_NS + s * 1_000_000_000;
    let message = |channel, s, data: &[u8]| raw::message(channel, at(s), at(s), data);
    for order in [[3, 2, 1], [1, 2, 3], [2, 1, 3]] {
        // The second file is sorted: its first message is its last.
        for times in [[0, 1, 2], [2, 1, 0]] {
            let messages = order.iter().zip(times).map(|(channel, s)| match channel {
                1 => message(1, s, WEIGHT),
                2 => message(2, s, seen),
                _ => message(3, s, read),
            });
            let messages: Vec<u8> = messages.flatten().collect();
            let file = [declared(), messages, raw::end()].concat();
            let (code, text) = replayed(&file, KIOSK_STORE);
            let told = "3 messages: 1 tag reads, 1 weights, 1 frames";
            assert!(
                code == 0 && text.contains(told),
                "{order:?} {times:?}: {text}"
            );
        }
    }
}

/// A recording of two topics in three chunks: as its writer leaves it when it is killed, and
/// finished.
fn in_chunks() -> [Vec<u8>; 2] {
    let file = tempfile::NamedTempFile::new().unwrap();
    let out = std::fs::File::create(file.path()).unwrap();
    let mut writer = RecordingWriter::new(out, &std::collections::BTreeMap::new()).unwrap();
    let seen = br#"{"width": 640, "height": 360, "detections": []}"#;
    for chunk in 0..3 {
        for i in 0..100 {
            let at = BEGIN_NS + (chunk * 100 + i) * 100_000_000;
            let weight = writer.json(SCALE, "basketd.Weight", at, at, WEIGHT);
            weight.unwrap();
            if chunk > 0 {
                let frame = writer.json(CAMERA, "basketd.Detections", at, at, seen);
                frame.unwrap();
            }
        }
        writer.flush().unwrap();
    }
    let cut = std::fs::read(file.path()).unwrap();
    writer.finish().unwrap();
    [cut, std::fs::read(file.path()).unwrap()]
}

/// The bytes that each chunk takes.
fn chunks(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut at, mut chunks) = (raw::MAGIC.len(), Vec::new());
    while let Some(length) = file.get(at + 1..at + 9) {
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let body = at + 9..at + 9 + length;
        match file[at] {
            6 => chunks.push(body.clone()),
            15 => break,
            _ => {}
        }
        at = body.end;
    }
    chunks
}

#[test]
fn a_damaged_chunk_loses_its_own_messages_alone() {
    for file in in_chunks() {
        let chunks = chunks(&file);
        assert_eq!(chunks.len(), 3);
        let left = [(200, 200), (200, 100), (200, 100)];
        for (chunk, (weights, frames)) in chunks.iter().zip(left) {
            let mut damaged = file.clone();
            damaged[chunk.end - 20] ^= 1;
            let (code, text) = replayed(&damaged, KIOSK_STORE);
            let told = format!(" {weights} weights, {frames} frames");
            assert!(code == 0 && text.contains(&told), "{told}: {text}");
            assert!(text.contains("1 x ") && text.contains("left out"), "{text}");
            assert!(!text.contains("does not declare"), "{text}");
        }
    }
}

#[test]
fn a_hole_in_a_recording_is_as_a_box_that_was_away() {
    let [_, mut file] = in_chunks();
    let events = |file: &[u8]| {
        let recording = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(recording.path(), file).unwrap();
        let path = recording.path().to_str().unwrap();
        let (_, text) = basketd(&["replay", path, "--store", KIOSK_STORE, "--events", "-"]);
        text
    };
    assert!(!events(&file).contains("box-away"));
    let second = chunks(&file)[1].end - 20;
    file[second] ^= 1;
    let text = events(&file);
    assert!(
        text.contains("box-away") && text.contains("the recording is damaged here"),
        "{text}"
    );
}

/// One sentence says what twenty reasons do not.
#[test]
fn the_store_file_of_another_shop_is_told_last() {
    let told = "config/shop/store.toml: probably another shop's store file: it does not have the \
                sensors of 3 of 3 messages";
    let at = |s: u64| BEGIN_NS + s * 1_000_000_000;
    let weights = [0, 1, 2].map(|s| (at(s), at(s), WEIGHT.to_vec()));
    let (code, text) = replayed(&of("/scale/elsewhere", &weights), "config/shop/store.toml");
    assert_eq!(code, 0, "{text}");
    assert_eq!(text.trim_end().lines().last(), Some(told), "{text}");
    assert!(!text.contains("basketd::"), "{text}");
    let (_, text) = replayed(&of(SCALE, &weights), KIOSK_STORE);
    assert!(!text.contains("another shop"), "{text}");
}

#[test]
fn every_compression_is_read() {
    use mcap::{Compression, WriteOptions};
    for compression in [None, Some(Compression::Zstd), Some(Compression::Lz4)] {
        let options = WriteOptions::new().compression(compression);
        let mut writer = options.create(Cursor::new(Vec::new())).unwrap();
        let schema = writer
            .add_schema("basketd.Weight", "jsonschema", b"{}")
            .unwrap();
        let map = std::collections::BTreeMap::new();
        let channel = writer.add_channel(schema, SCALE, "json", &map).unwrap();
        for i in 0..1000 {
            let at = BEGIN_NS + i * 100_000_000;
            let header = mcap::records::MessageHeader {
                channel_id: channel,
                sequence: i as u32,
                log_time: at,
                publish_time: at,
            };
            writer.write_to_known_channel(&header, WEIGHT).unwrap();
        }
        writer.finish().unwrap();
        let bytes = writer.into_inner().into_inner();
        let (code, text) = replayed(&bytes, KIOSK_STORE);
        assert!(
            code == 0 && text.contains("1000 weights") && text.contains("lost       0\n"),
            "{text}"
        );
    }
}

/// Whatever bytes of a recording change, replay ends and says what it could not read.
#[test]
fn changed_bytes_never_panic() {
    let path = Path::new("tests/recordings/kiosk-one-shopper/recording.mcap");
    let whole = std::fs::read(root().join(path)).unwrap();
    let mut state = 1_u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize
    };
    for _ in 0..60 {
        let mut bytes = whole.clone();
        for _ in 0..1 + next() % 8 {
            let at = next() % bytes.len();
            bytes[at] = next() as u8;
        }
        let (code, text) = replayed(&bytes, KIOSK_STORE);
        assert!(code == 0 || code == 1, "{code}: {text}");
    }
}
