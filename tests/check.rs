//! What `basketd check` says: of the example stores, of the recorded ones, and of everything that
//! can be wrong with a store file, with its line and column.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skipped"
)]

use std::path::{Path, PathBuf};

use basketd::app::check::check;
use basketd::app::load::load;
use basketd::store::{Problem, Store, View, file};
use proptest::prelude::*;

const STORE: &str = r#"[store]
id = "s-1"
timezone = "europe/berlin"
currency = "EUR"
catalog = "catalog.csv"
tags = "tags.csv"
[state]
journal_days = 7
[[zone]]
id = "door"
kinds = ["entry", "exit"]
polygon = [[0, 0], [2, 0], [2, 1], [0, 1]]
[[gate]]
id = "in"
zone = "door"
source = "mqtt:gates/in"
[[gondola]]
id = "g1"
front = [[0, 3], [1.2, 3]]
[[gondola.shelf]]
id = "g1-s1"
height = 0.4
facings = [
  { gtin = "96385074", from = 0.5, to = 1.2, capacity = 4 },
  { gtin = "4006381333931", from = 0, to = 0.5 },
]
[[scale]]
id = "p1"
shelf = "g1-s1"
from = 0
to = 1.2
source = "hid:0922:8009"
[[reader]]
id = "r1"
source = "llrp://10.0.4.20"
antennas = [
  { port = 1, shelf = "g1-s1" },
  { port = 2, gate = "in" },
]
[[camera]]
id = "cam1"
source = "rtsp://10.0.4.31/stream1"
view = "floor"
width = 640
height = 360
floor_from_image = [[0.01, 0, -1], [0, -0.01, 4], [0, 0, 1]]
[[camera]]
id = "cam2"
view = "shelf"
width = 640
height = 360
regions = [{ shelf = "g1-s1", polygon = [[9, 9], [600, 9], [600, 99]] }]
[mqtt]
url = "mqtts://broker.example"
confirm = "puback"
[console]
listen = "[::1]:8090"
[fusion]
wait_scale_s = 2
"#;

const CATALOG: &str = "gtin,name,price,weight_g,brand,reserve,tagged
96385074,Water,1.2,500,Well,3,no
4006381333931,\"Pens, blue\",12.00,,,,yes
";

const TAGS: &str = "epc,gtin
e28011700000020d,4006381333931
";

fn read(store: &str, catalog: &str, tags: &str) -> Result<Store, Vec<Problem>> {
    let mut open = |name: &str| match name {
        "catalog.csv" => Ok(catalog.to_owned()),
        "tags.csv" => Ok(tags.to_owned()),
        _ => Err("no such file".to_owned()),
    };
    file::read("store.toml", store, &mut open).map(|read| read.store)
}

fn messages(result: Result<Store, Vec<Problem>>) -> Vec<String> {
    let problems = result.err().unwrap_or_default();
    problems.iter().map(ToString::to_string).collect()
}

/// Replaces the one place where `old` stands.
fn changed(text: &str, old: &str, new: &str) -> String {
    assert_eq!(text.matches(old).count(), 1, "`{old}` must stand once");
    text.replace(old, new)
}

#[test]
fn a_right_file_becomes_a_store() {
    let store = read(STORE, CATALOG, TAGS).unwrap();
    assert_eq!(store.name, "s-1");
    assert_eq!(store.timezone, "Europe/Berlin");
    let facings = &store.shelves[0].facings;
    assert!(facings[0].from < facings[1].from);
    let shelf = store.shelf_by_id("g1-s1").unwrap();
    assert_eq!(store.shelf(shelf).antennas.len(), 1);
    assert_eq!(store.shelf(shelf).scales.len(), 1);
    let prices: Vec<u64> = store
        .catalog
        .values()
        .map(|product| product.price)
        .collect();
    assert_eq!(prices, [120, 1200]);
    let tag = "E28011700000020D".parse().unwrap();
    assert_eq!(store.gtin_of(&tag).unwrap().to_string(), "04006381333931");
    assert_eq!(store.tunables.fusion.wait_scale_s, 2.0);
}

/// Changes of the store file, each of one place; the snapshot holds all that is said of them.
const CASES: &[(&str, &str)] = &[
    ("facings = [", "facing = ["),
    ("[console]", "[consol]"),
    ("id = \"door\"", "id = \"Door\""),
    ("id = \"cam2\"", "id = \"cam1\""),
    ("id = \"p1\"\n", ""),
    ("zone = \"door\"", "zone = \"dor\""),
    (
        "[[gate]]\nid = \"in\"\nzone = \"door\"\nsource = \"mqtt:gates/in\"\n",
        "",
    ),
    (
        "timezone = \"europe/berlin\"",
        "timezone = \"Europe/Berln\"",
    ),
    ("currency = \"EUR\"", "currency = \"EURO\""),
    ("currency = \"EUR\"", "currency = \"JPY\""),
    ("catalog = \"catalog.csv\"", "catalog = \"katalog.csv\""),
    ("catalog = \"catalog.csv\"\n", ""),
    ("[store]\nid = \"s-1\"", "[stor]\nid = \"s-1\""),
    ("\"entry\", \"exit\"", "\"entry\", \"exits\""),
    ("kinds = [\"entry\", \"exit\"]", "kinds = \"entry\""),
    ("[2, 0], [2, 1], [0, 1]]\n", "[2, 0]]\n"),
    ("[2, 0], [2, 1], [0, 1]]\n", "[2, 1], [2, 0], [0, 1]]\n"),
    ("[2, 0], [2, 1], [0, 1]]\n", "[1, 0], [3, 0]]\n"),
    ("[2, 0], [2, 1], [0, 1]]\n", "[2, 0], [2, 1], [0, 0]]\n"),
    (
        "[2, 0], [2, 1], [0, 1]]\n",
        "[2, 0], [2, 1], [2, 0.5], [0, 1]]\n",
    ),
    ("[2, 0], [2, 1], [0, 1]]\n", "[2, 0], [2, nan], [0, 1]]\n"),
    ("[2, 0], [2, 1], [0, 1]]\n", "[2, 0], [2], [0, 1]]\n"),
    ("front = [[0, 3], [1.2, 3]]", "front = [[0, 3], [0, 3]]"),
    (
        "front = [[0, 3], [1.2, 3]]",
        "front = [[0, 3], [1.2, 3]]\nreach = 0",
    ),
    (
        "front = [[0, 3], [1.2, 3]]",
        "front = [[0, 3], [1.2, 3]]\ndoor = \"yes\"",
    ),
    ("height = 0.4", "height = \"0.4\""),
    ("\"96385074\", from", "\"96385075\", from"),
    ("\"96385074\", from", "96385074, from"),
    ("\"96385074\", from", "\"12345670\", from"),
    ("from = 0, to = 0.5 }", "from = 0, to = 0.6 }"),
    ("from = 0, to = 0.5 }", "from = 0.5, to = 0.5 }"),
    ("from = 0, to = 0.5 }", "from = -0.1, to = 0.5 }"),
    ("from = 0, to = 0.5 }", "to = 0.5 }"),
    ("to = 1.2, capacity = 4", "to = 1.3, capacity = 4"),
    ("capacity = 4", "capacity = 4.5"),
    ("from = 0\nto = 1.2", "from = 0\nto = 1.25"),
    ("shelf = \"g1-s1\"\nfrom", "shelf = \"g1-s2\"\nfrom"),
    ("hid:0922:8009", "hid:0922"),
    ("llrp://10.0.4.20", "usb:0403:6001"),
    (
        "llrp://10.0.4.20\"",
        "usb:0403:6001\"\nprotocol = \"uhfreader\"",
    ),
    ("llrp://10.0.4.20", "llrp:10.0.4.20"),
    ("port = 2,", "port = 1,"),
    ("port = 2,", "port = 0,"),
    ("port = 2, gate = \"in\"", "port = 2"),
    ("port = 2, gate", "port = 2, zone = \"door\", gate"),
    (
        "rtsp://10.0.4.31/stream1",
        "rtsp://me:secret@10.0.4.31/stream1",
    ),
    ("view = \"floor\"", "view = \"ceiling\""),
    ("view = \"floor\"", "view = \"shelf\""),
    ("view = \"floor\"", "view = \"floor\"\nusername = \"me\""),
    ("[0, 0, 1]]", "[0, 0.02, -8]]"),
    (
        "floor_from_image = [[0.01, 0, -1], [0, -0.01, 4], [0, 0, 1]]\n",
        "",
    ),
    (
        "[[0.01, 0, -1], [0, -0.01, 4], [0, 0, 1]]",
        "[[0.01, 0, -1], [0, -0.01, 4]]",
    ),
    (
        "floor_from_image = [[0.01, 0, -1], [0, -0.01, 4], [0, 0, 1]]",
        "correspondences = [{ image = [0, 0], floor = [0, 0] }]",
    ),
    (
        "floor_from_image = [[0.01, 0, -1], [0, -0.01, 4], [0, 0, 1]]",
        "correspondences = [{ image = [0, 0], floor = [0, 0] }, { image = [100, 0], floor = [1, 0] }, { image = [200, 0], floor = [2, 0] }, { image = [300, 0], floor = [3, 0] }]",
    ),
    (
        "floor_from_image = [[0.01, 0, -1], [0, -0.01, 4], [0, 0, 1]]",
        "correspondences = [{ image = [0, 0], floor = [0, 0] }, { image = [600, 0], floor = [6, 0] }, { image = [600, 300], floor = [6, -3] }, { image = [0, 300], floor = [0, -3] }, { image = [300, 200], floor = [5, -2] }]",
    ),
    (
        "[[9, 9], [600, 9], [600, 99]]",
        "[[900, 9], [990, 9], [990, 99]]",
    ),
    (
        "regions = [{ shelf = \"g1-s1\"",
        "regions = [{ shelf = \"g1\"",
    ),
    ("mqtts://broker.example", "broker.example:1883"),
    ("confirm = \"puback\"", "confirm = \"broker\""),
    ("confirm = \"puback\"", "cert_file = \"me.pem\""),
    ("listen = \"[::1]:8090\"", "listen = \"8090\""),
    ("journal_days = 7", "journal_days = -7"),
    ("wait_scale_s = 2", "wait_scales = 2"),
    ("wait_scale_s = 2", "wait_scale_s = \"2\""),
    ("wait_scale_s = 2", "wait_scale_s = -2.0"),
    ("wait_scale_s = 2", "wait_scale_s = inf"),
    ("wait_scale_s = 2", "wait_rfid_s = 1e13"),
    ("wait_scale_s = 2", "nobody = 0"),
    ("wait_scale_s = 2", "nobody = 7"),
    ("wait_scale_s = 2", "nobody = 1e300"),
    ("wait_scale_s = 2", "unseen_carrier = 0"),
    ("wait_scale_s = 2", "reach_beyond_m = 0.0"),
    ("wait_scale_s = 2", "[basket]\nlongest_visit_s = 0"),
    ("wait_scale_s = 2", "[basket]\nlongest_visit_s = 1e18"),
    ("wait_scale_s = 2", "[basket]\nreview_cost = -1"),
    ("[fusion]", "[[shelf]]"),
    ("[[camera]]\nid = \"cam2\"", "[camera]\nid = \"cam2\""),
    ("polygon = [[0, 0], [2", "polygon = [[0, 0, [2"),
    ("id = \"r1\"\n", "id = \"r1\"\nid = \"r2\"\n"),
    // One device under two ids.
    (
        "[[camera]]\nid = \"cam1\"",
        "[[reader]]\nid = \"r2\"\nsource = \"llrp://10.0.4.20:5084\"\nantennas = [{ port = 2, shelf = \"g1-s1\" }, { port = 3, shelf = \"g1-s1\" }]\n[[camera]]\nid = \"cam1\"",
    ),
    (
        "[[scale]]\nid = \"p1\"",
        "[[gondola.shelf]]\nid = \"g1-s1\"\n[[scale]]\nid = \"p1\"",
    ),
];

/// Each change with the problems that it makes.
fn told(cases: &[(&str, &str)], problems: impl Fn(&str, &str) -> Vec<String>) -> String {
    let mut text = String::new();
    for (old, new) in cases {
        let mut found = problems(old, new).join("\n    ");
        if found.is_empty() {
            found = "nothing".to_owned();
        }
        let (old, new) = (old.trim_end(), new.trim_end());
        text += &format!("{old:?} -> {new:?}\n    {found}\n");
    }
    text
}

#[test]
fn every_fault_has_its_message_and_place() {
    let problems = |old: &str, new: &str| messages(read(&changed(STORE, old, new), CATALOG, TAGS));
    insta::assert_snapshot!(told(CASES, problems));
}

/// Changes of the catalogue.
const CATALOG_CASES: &[(&str, &str)] = &[
    ("96385074", "96385075"),
    ("96385074", "9638507"),
    ("4006381333931", "96385074"),
    ("12.00", "12.005"),
    ("12.00", "-1"),
    ("12.00", "1e2"),
    ("12.00", "12."),
    ("12.00", "99999999999999"),
    ("500", "0"),
    ("500", "inf"),
    (",3,no", ",few,no"),
    (",yes", ",maybe"),
    (",yes", ""),
    ("Water", ""),
    ("weight_g", "weight"),
    ("brand", "brnad"),
    ("tagged", "supplier"),
    ("brand,", "name,"),
];

#[test]
fn bad_rows_are_refused_with_their_line() {
    let problems = |old: &str, new: &str| messages(read(STORE, &changed(CATALOG, old, new), TAGS));
    insta::assert_snapshot!(told(CATALOG_CASES, problems));
}

#[test]
fn bad_tags_are_refused_with_their_line() {
    let tags = "epc,gtin\nE280,96385074\nE28,96385074\ne280,96385074\nE281,12345670\nE282\n";
    assert_eq!(
        messages(read(STORE, CATALOG, tags)),
        [
            "tags.csv:3: `epc`: `E28` is not an even number of hexadecimal digits",
            "tags.csv:4: `epc`: E280 stands in line 2 already",
            "tags.csv:5: `gtin`: 00000012345670 is not in the catalogue",
            "tags.csv:6: 1 cells; the header has 2",
        ]
    );
}

#[test]
fn all_problems_come_in_one_run() {
    let mut text = changed(STORE, "kinds = ", "kind = ");
    text = changed(&text, "shelf = \"g1-s1\"\nfrom", "shelf = \"g1-s2\"\nfrom");
    text = changed(&text, "port = 2", "port = 1");
    text = changed(&text, "wait_scale_s", "wait_scales_s");
    let catalog = changed(CATALOG, "12.00", "12.000");
    assert_eq!(
        messages(read(&text, &catalog, TAGS)),
        [
            "store.toml:11:1: unknown key `kind`; did you mean `kinds`?",
            "store.toml:29:9: no shelf `g1-s2`; did you mean `g1-s1`?",
            "store.toml:38:12: `port`: a second antenna on port 1 of this reader",
            "store.toml:59:1: unknown key `wait_scales_s`; did you mean `wait_scale_s`?",
            "catalog.csv:3: `price`: found \"12.000\"; expected a decimal; EUR has 2 digits behind the point",
        ]
    );
}

#[test]
fn one_scale_is_not_two() {
    let twin = "\n[[scale]]\nid = \"twin\"\nshelf = \"g1-s1\"\nsource = \"hid:0922:8009\"\n";
    let told = messages(read(&format!("{STORE}{twin}"), CATALOG, TAGS));
    let says = |one: &String| one.ends_with("`source`: scale `p1` has the same");
    assert!(told.iter().any(says), "{told:?}");
}

#[test]
fn files_of_other_systems_are_read() {
    let store = format!("\u{feff}{}", STORE.replace('\n', "\r\n"));
    let catalog = format!("\u{feff}{}", CATALOG.replace('\n', "\r\n"));
    assert_eq!(messages(read(&store, &catalog, TAGS)), [""; 0]);
    // The mark at the beginning moves no column.
    let store = store.replace("[store]", "[stor]");
    let first = messages(read(&store, &catalog, TAGS)).join("\n");
    assert!(
        first.contains("store.toml:1:2: unknown key `stor`; did you mean `store`?"),
        "{first}"
    );
}

#[test]
fn prices_are_exact_in_every_currency() {
    for (currency, price, units) in [
        ("EUR", "0.29", 29),
        ("EUR", "1.1", 110),
        ("EUR", "4", 400),
        ("JPY", "1200", 1200),
        ("KWD", "1.005", 1005),
        ("EUR", "1000000.07", 100_000_007),
    ] {
        let store = changed(STORE, "EUR", currency);
        let catalog =
            format!("gtin,name,price,weight_g\n96385074,A,{price},\n4006381333931,B,{price},\n");
        let store = read(&store, &catalog, TAGS).unwrap();
        assert!(
            store.catalog.values().all(|one| one.price == units),
            "{currency} {price}"
        );
    }
}

#[test]
fn measured_points_give_a_homography() {
    // One metre is a hundred pixels; the image's y runs down.
    let points = "correspondences = [{ image = [0, 0], floor = [1, 5] }, \
        { image = [600, 0], floor = [7, 5] }, { image = [600, 300], floor = [7, 2] }, \
        { image = [0, 300], floor = [1, 2] }, { image = [300, 200], floor = [4, 3] }]";
    let matrix = "floor_from_image = [[0.01, 0, -1], [0, -0.01, 4], [0, 0, 1]]";
    let store = read(&changed(STORE, matrix, points), CATALOG, TAGS).unwrap();
    let View::Floor { floor_from_image } = store.cameras[0].view else {
        panic!("a floor camera")
    };
    let floor = floor_from_image
        .map(basketd::units::Point::new(150.0, 250.0))
        .unwrap();
    assert!(floor.distance(basketd::units::Point::new(2.5, 2.5)) < 1e-9);
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_example_stores_pass() {
    for (name, gondolas) in [("kiosk", 1), ("shop", 8)] {
        let path = repository("config").join(name).join("store.toml");
        let summary = check(&path).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(
            summary.contains(&format!("gondolas   {gondolas}: g1")),
            "{summary}"
        );
        let store = load(&path).unwrap().store;
        let mut other = store.clone();
        other.tunables = basketd::store::Tunables::default();
        assert_eq!(store, other, "{name} works with the defaults");
    }
}

#[test]
fn the_recorded_stores_pass() {
    let Ok(folders) = std::fs::read_dir(repository("../shared/recordings")) else {
        println!("skipped: no ../shared");
        return;
    };
    let stores = folders.map(|folder| folder.unwrap().path().join("store.toml"));
    for path in stores.filter(|path| path.is_file()) {
        // Loaded, not checked: models are not part of every recording.
        let problems = load(&path).err().map(|problems| problems.to_string());
        assert_eq!(problems, None, "{}", path.display());
    }
}

#[test]
fn check_follows_what_the_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = changed(STORE, "tags = \"tags.csv\"", "models = \".\"");
    let text = changed(&text, "rtsp://10.0.4.31/stream1", "file:walk.mp4");
    let text = changed(
        &text,
        "view = \"floor\"",
        "view = \"floor\"\nmodel = \"person\"",
    );
    let secret = "confirm = \"puback\"\nusername = \"a\"\npassword_file = \"mqtt.password\"";
    let text = changed(&text, "confirm = \"puback\"", secret);
    // What stands in the file itself is told in the same run.
    let text = changed(&text, "journal_days", "journal_day");
    std::fs::write(at("store.toml"), text).unwrap();
    std::fs::write(at("catalog.csv"), CATALOG).unwrap();
    let problems = check(&at("store.toml")).unwrap_err().to_string();
    let folder = folder.path().display().to_string();
    let found = problems.replace(&folder, "").replace('\\', "/");
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(
        lines,
        [
            "/store.toml:8:1: unknown key `journal_day`; did you mean `journal_days`?",
            "/store.toml:42:10: no file /walk.mp4",
            "/store.toml:44:9: camera `cam1`, model `person`: no file /./person.toml; did you mean `store`?",
            "/store.toml:58:17: no file /mqtt.password, and no systemd credential `mqtt.password`",
        ]
    );
    let absent = check(Path::new("absent/store.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        absent.starts_with("absent/store.toml: failed to read: "),
        "{absent}"
    );
}

/// Each fault of a model, as a camera's `model` key makes it known.
#[test]
fn check_loads_the_models() {
    let edits: &[(&str, &str, &str)] = &[
        (
            "tiny.onnx",
            "none.onnx",
            "odd.toml:3:8: failed to read none.onnx: No such file or directory (os error 2)",
        ),
        (
            "score = 0.5",
            "score = 0.5\nsha256 = \"00ff\"",
            "tiny.onnx has sha256 ",
        ),
        (
            "\"yolox\"",
            "\"yolo\"",
            "odd.toml:4:10: no family `yolo`: yolox, fastestdet, nanodet, ultraface; did you mean `yolox`?",
        ),
        (
            "\"yolox\"",
            "\"fastestdet\"",
            "found output [1,84,7], family fastestdet with 2 labels has [1,7,4,4]",
        ),
        (
            "score = ",
            "scor = ",
            "odd.toml:7:1: unknown field `scor`, expected one of `file`, `sha256`, `family`, `labels`, `input`, `score`, `nms`, `classes`, `gtins`; did you mean `score`?",
        ),
        (
            "width = 64",
            "width = 96",
            "does not take f32 [1, 3, 64, 96]",
        ),
        (
            "\"person\"",
            "\"person\"\nBLUE = \"hand\"",
            "the model has no label `BLUE`; did you mean `blue`?",
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = changed(STORE, "catalog = ", "models = \".\"\ncatalog = ");
    let text = changed(
        &text,
        "view = \"shelf\"",
        "view = \"shelf\"\nmodel = \"odd\"",
    );
    std::fs::write(at("store.toml"), text).unwrap();
    std::fs::write(at("catalog.csv"), CATALOG).unwrap();
    std::fs::write(at("tags.csv"), TAGS).unwrap();
    std::fs::copy(repository("models/tiny.onnx"), at("tiny.onnx")).unwrap();
    let manifest = std::fs::read_to_string(repository("models/tiny.toml")).unwrap();
    std::fs::write(at("odd.toml"), &manifest).unwrap();
    check(&at("store.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    for (old, new, expected) in edits {
        std::fs::write(at("odd.toml"), changed(&manifest, old, new)).unwrap();
        let problems = check(&at("store.toml")).unwrap_err().to_string();
        let own = format!("{}/", folder.path().display());
        let found = problems.replace(&own, "").replace("./", "");
        assert!(
            found.starts_with("store.toml:51:9: camera `cam2`, model `odd`: ")
                && found.contains(expected),
            "{old} -> {new}: {found}"
        );
        assert_eq!(found.lines().count(), 1, "{found}");
    }
}

fn mutated() -> impl Strategy<Value = String> {
    let edit = (
        any::<prop::sample::Index>(),
        0..40_usize,
        "\\PC{0,3}|[]\\[{}=\",.0-9\n-]{0,4}",
    );
    let lists = [STORE, CATALOG, TAGS].join("\u{0}");
    prop::collection::vec(edit, 1..6).prop_map(move |edits| {
        let mut chars: Vec<char> = lists.chars().collect();
        for (at, count, with) in edits {
            let from = at.index(chars.len());
            let to = (from + count).min(chars.len());
            chars.splice(from..to, with.chars());
            if chars.is_empty() {
                break;
            }
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn no_text_panics_and_every_refusal_has_a_place(text in mutated()) {
        let mut parts = text.splitn(3, '\u{0}');
        let mut part = || parts.next().unwrap_or_default();
        let (store, catalog, tags) = (part(), part(), part());
        if let Err(problems) = read(store, catalog, tags) {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                let text = problem.to_string();
                prop_assert!(!text.contains('\n') && text.len() < 600, "{}", text);
            }
        }
    }
}

#[test]
fn what_is_right_and_will_disappoint_is_noted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/shop/store.toml");
    let summary = check(&path).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(
        summary.contains("has no `secret_file`: nobody may call it"),
        "{summary}"
    );
}
