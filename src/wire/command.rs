//! Commands of operators and backends: a JSON object whose `command` names what is asked. What is
//! wrong is refused with what was found and what is allowed; unknown fields are ignored, so that
//! recordings outlive versions. [`encode`] is the inverse of [`parse`].

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::money;
use crate::gs1::Gtin;
use crate::ids::{ShelfIx, VisitId};
use crate::observation::{Command, Review};
use crate::store::{Store, nearest};

/// The longest command, bytes: a review of the most lines has a fifth of it.
pub const COMMAND_MAX: usize = 64 << 10;
/// A basket is corrected to so many lines at most: a full trolley has fewer.
pub const LINES_MAX: usize = 200;
/// Units of one product in a basket.
pub(super) const QUANTITIES: RangeInclusive<u64> = 1..=1000;
/// Units of one product on a shelf; what is beyond is a slip of the pen.
pub(super) const ON_HAND: RangeInclusive<u64> = 0..=100_000;
/// Characters of who asks and of a journal's id, as for ids of the store file.
pub(super) const NAME_MAX: usize = 63;

const COMMANDS: &str = "restock.begin, restock.end, price.set, stock.set, visit.close, \
                        basket.review, resend or status";

/// Reads one command.
pub fn parse(store: &Store, payload: &[u8]) -> Result<Command, String> {
    if payload.len() > COMMAND_MAX {
        let n = payload.len();
        return Err(format!("a command of {n} bytes; at most {COMMAND_MAX}"));
    }
    let value: Value = serde_json::from_slice(payload).map_err(|e| {
        // Places in the message differ from one to the next; the reason is what counts.
        let text = e.to_string();
        format!(
            "no JSON: {}",
            text.split(" at line ").next().unwrap_or(&text)
        )
    })?;
    let Value::Object(fields) = value else {
        return Err(format!("{}; expected an object", shown(&value)));
    };
    let name = match fields.get("command") {
        Some(Value::String(name)) => name.as_str(),
        Some(other) => return Err(format!("`command` is {}; expected text", shown(other))),
        None => return Err(format!("no `command`; expected {COMMANDS}")),
    };
    let fields = Fields {
        store,
        fields: &fields,
    };
    command(&fields, name).map_err(|what| match what {
        What::Field(what) => format!("`{name}`: {what}"),
        What::Name => format!("an unknown command `{}`; expected {COMMANDS}", short(name)),
    })
}

/// What was refused.
enum What {
    Name,
    Field(String),
}

impl From<String> for What {
    fn from(what: String) -> Self {
        Self::Field(what)
    }
}

fn command(fields: &Fields<'_>, name: &str) -> Result<Command, What> {
    let by = || fields.name("by").map(Option::unwrap_or_default);
    Ok(match name {
        "restock.begin" => Command::RestockBegin {
            shelf: fields.shelf()?,
            by: by()?,
        },
        "restock.end" => Command::RestockEnd {
            shelf: fields.shelf()?,
            by: by()?,
        },
        "price.set" => Command::PriceSet {
            gtin: fields.gtin()?,
            price: fields.price()?,
            by: by()?,
        },
        "stock.set" => Command::StockSet {
            shelf: fields.shelf()?,
            gtin: fields.gtin()?,
            on_hand: fields.whole("on_hand", &ON_HAND)? as u32,
            by: by()?,
        },
        "visit.close" => Command::VisitClose {
            visit: fields.visit()?,
            by: by()?,
        },
        "basket.review" => Command::BasketReview {
            visit: fields.visit()?,
            decision: fields.review()?,
            by: by()?,
        },
        "resend" => Command::Resend {
            from: fields.whole("from", &(1..=u64::MAX))?,
            journal: fields.name("journal")?,
        },
        "status" => Command::Status,
        _ => return Err(What::Name),
    })
}

/// A command's fields, taken one by one.
struct Fields<'a> {
    store: &'a Store,
    fields: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// Absent and null are the same.
    fn optional(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn value(&self, name: &str) -> Result<&'a Value, String> {
        self.optional(name).ok_or_else(|| format!("no `{name}`"))
    }

    fn text(&self, name: &str) -> Result<&'a str, String> {
        let value = self.value(name)?;
        let text = value.as_str();
        text.ok_or_else(|| format!("`{name}` is {}; expected text", shown(value)))
    }

    fn whole(&self, name: &str, allowed: &RangeInclusive<u64>) -> Result<u64, String> {
        let value = self.value(name)?;
        let number = value.as_u64().filter(|number| allowed.contains(number));
        number.ok_or_else(|| {
            let (least, most) = (allowed.start(), allowed.end());
            let found = shown(value);
            format!("`{name}` is {found}; expected a whole number from {least} to {most}")
        })
    }

    fn name(&self, name: &str) -> Result<Option<String>, String> {
        if self.optional(name).is_none() {
            return Ok(None);
        }
        let text = self.text(name)?;
        let length = text.chars().count();
        if length > NAME_MAX {
            return Err(format!(
                "`{name}` has {length} characters; at most {NAME_MAX}"
            ));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("`{name}` holds a control character"));
        }
        Ok(Some(text.to_owned()))
    }

    fn shelf(&self) -> Result<ShelfIx, String> {
        let id = self.text("shelf")?;
        self.store.shelf_by_id(id).ok_or_else(|| {
            let shelves = self.store.shelves.iter().map(|shelf| shelf.id.as_str());
            let meant = nearest(id, shelves).map(|near| format!("; did you mean `{near}`?"));
            let meant = meant.unwrap_or_else(|| "; the store file has none".to_owned());
            format!("no shelf `{}` in the store file{meant}", short(id))
        })
    }

    fn gtin(&self) -> Result<Gtin, String> {
        let gtin = self.text("gtin")?.parse::<Gtin>();
        let gtin = gtin.map_err(|e| format!("`gtin`: {e}"))?;
        if !self.store.catalog.contains_key(&gtin) {
            return Err(format!("no product {gtin} in the catalogue"));
        }
        Ok(gtin)
    }

    fn visit(&self) -> Result<VisitId, String> {
        let text = self.text("visit")?;
        let digits = text.strip_prefix("v-").filter(|digits| {
            let all = digits.bytes().all(|digit| digit.is_ascii_digit());
            all && !digits.is_empty()
        });
        let number = digits.and_then(|digits| digits.parse().ok());
        number.map(VisitId).ok_or_else(|| {
            let found = short(text);
            format!("`visit` is \"{found}\"; expected one such as v-000017")
        })
    }

    fn price(&self) -> Result<u64, String> {
        let value = self.value("price")?;
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => String::new(),
        };
        let currency = &self.store.currency;
        money::parse(&text, currency.digits).ok_or_else(|| {
            let (found, code, digits) = (shown(value), &currency.code, currency.digits);
            format!(
                "`price` is {found}; expected a decimal in {code}, which has {digits} digits \
                 behind the point"
            )
        })
    }

    fn review(&self) -> Result<Review, String> {
        match (self.text("decision")?, self.optional("lines")) {
            ("confirm", None) => Ok(Review::Confirm),
            ("confirm", Some(_)) => {
                Err("`lines` with the decision confirm; they go with correct".to_owned())
            }
            ("correct", Some(Value::Array(lines))) => self.lines(lines).map(Review::Correct),
            ("correct", Some(other)) => Err(format!(
                "`lines` is {}; expected a list of {{\"gtin\", \"quantity\"}}",
                shown(other)
            )),
            ("correct", None) => {
                Err("no `lines` with the decision correct; an empty list is an empty basket".into())
            }
            (other, _) => Err(format!(
                "`decision` is \"{}\"; expected confirm or correct",
                short(other)
            )),
        }
    }

    fn lines(&self, lines: &[Value]) -> Result<Vec<(Gtin, u32)>, String> {
        if lines.len() > LINES_MAX {
            return Err(format!("{} `lines`; at most {LINES_MAX}", lines.len()));
        }
        let mut known = BTreeSet::new();
        let mut line = |(i, value): (usize, &Value)| -> Result<(Gtin, u32), String> {
            let what = |what: String| format!("line {}: {what}", i + 1);
            let fields = value.as_object().ok_or_else(|| {
                what(format!(
                    "{}; expected {{\"gtin\", \"quantity\"}}",
                    shown(value)
                ))
            })?;
            let fields = Fields {
                store: self.store,
                fields,
            };
            let gtin = fields.gtin().map_err(what)?;
            let quantity = fields.whole("quantity", &QUANTITIES).map_err(what)?;
            if !known.insert(gtin) {
                return Err(what(format!("{gtin} has a line already")));
            }
            Ok((gtin, quantity as u32))
        };
        lines.iter().enumerate().map(&mut line).collect()
    }
}

/// A command as [`parse`] reads it.
pub fn encode(store: &Store, command: &Command) -> Vec<u8> {
    let shelf = |shelf: &ShelfIx| store.shelf(*shelf).id.as_str();
    let value = match command {
        Command::RestockBegin { shelf: at, by } => {
            json!({"command": "restock.begin", "shelf": shelf(at), "by": by})
        }
        Command::RestockEnd { shelf: at, by } => {
            json!({"command": "restock.end", "shelf": shelf(at), "by": by})
        }
        Command::PriceSet { gtin, price, by } => {
            let price = money::format(*price, store.currency.digits);
            json!({"command": "price.set", "gtin": gtin, "price": price, "by": by})
        }
        Command::StockSet {
            shelf: at,
            gtin,
            on_hand,
            by,
        } => {
            let shelf = shelf(at);
            json!({"command": "stock.set", "shelf": shelf, "gtin": gtin, "on_hand": on_hand, "by": by})
        }
        Command::VisitClose { visit, by } => {
            json!({"command": "visit.close", "visit": visit.to_string(), "by": by})
        }
        Command::BasketReview {
            visit,
            decision,
            by,
        } => review(*visit, decision, by),
        Command::Resend {
            from,
            journal: None,
        } => json!({"command": "resend", "from": from}),
        Command::Resend { from, journal } => {
            json!({"command": "resend", "from": from, "journal": journal})
        }
        Command::Status => json!({"command": "status"}),
    };
    value.to_string().into_bytes()
}

fn review(visit: VisitId, decision: &Review, by: &str) -> Value {
    let visit = visit.to_string();
    match decision {
        Review::Confirm => {
            json!({"command": "basket.review", "visit": visit, "decision": "confirm", "by": by})
        }
        Review::Correct(lines) => {
            let line = |(gtin, quantity): &(Gtin, u32)| json!({"gtin": gtin, "quantity": quantity});
            let lines: Vec<Value> = lines.iter().map(line).collect();
            json!({
                "command": "basket.review",
                "visit": visit,
                "decision": "correct",
                "lines": lines,
                "by": by,
            })
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => short(&other.to_string()),
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WATER: &str = "02000000010014";
    const CRISPS: &str = "02000000010052";

    fn kiosk() -> Store {
        let text = include_str!("../../config/kiosk/store.toml");
        let mut open = |name: &str| match name {
            "catalog.csv" => Ok(include_str!("../../config/kiosk/catalog.csv").to_owned()),
            "tags.csv" => Ok(include_str!("../../config/kiosk/tags.csv").to_owned()),
            _ => Err("no such file".to_owned()),
        };
        let read = crate::store::file::read("store.toml", text, &mut open);
        read.expect("the kiosk is right").store
    }

    #[test]
    fn commands_survive_their_text() {
        let store = kiosk();
        let shelf = store.shelf_by_id("g1-s2").unwrap();
        let gtin: Gtin = WATER.parse().unwrap();
        let by = "s-3".to_owned();
        let visit = VisitId(1_234_567);
        let review = |decision| Command::BasketReview {
            visit,
            decision,
            by: by.clone(),
        };
        let lines = vec![(gtin, 1000), (CRISPS.parse().unwrap(), 1)];
        let commands = [
            Command::RestockBegin {
                shelf,
                by: by.clone(),
            },
            Command::RestockEnd {
                shelf,
                by: String::new(),
            },
            Command::PriceSet {
                gtin,
                price: 5,
                by: by.clone(),
            },
            Command::StockSet {
                shelf,
                gtin,
                on_hand: 100_000,
                by: by.clone(),
            },
            Command::VisitClose {
                visit: VisitId(3),
                by: by.clone(),
            },
            review(Review::Confirm),
            review(Review::Correct(lines)),
            review(Review::Correct(Vec::new())),
            Command::Resend {
                from: 1040,
                journal: Some("j4k2".to_owned()),
            },
            Command::Resend {
                from: u64::MAX,
                journal: None,
            },
            Command::Status,
        ];
        for command in commands {
            let text = encode(&store, &command);
            assert_eq!(parse(&store, &text), Ok(command));
        }
    }

    #[test]
    fn refusals_say_what_was_found_and_what_is_allowed() {
        let store = kiosk();
        let many = format!(
            r#"{{"command": "basket.review", "visit": "v-1", "decision": "correct", "lines": [{}]}}"#,
            vec!["0"; 201].join(",")
        );
        let long = format!(
            r#"{{"command": "status", "pad": "{}"}}"#,
            "x".repeat(70_000)
        );
        let by = format!(
            r#"{{"command": "visit.close", "visit": "v-000001", "by": "{}"}}"#,
            "ö".repeat(64)
        );
        let review =
            |rest: &str| format!(r#"{{"command": "basket.review", "visit": "v-000001", {rest}}}"#);
        let cases = [
            ("", "no JSON: EOF"),
            ("[1]", "a list; expected an object"),
            ("7", "7; expected an object"),
            ("{}", "no `command`; expected restock.begin"),
            (r#"{"command": 7}"#, "`command` is 7; expected text"),
            (
                r#"{"command": "stok.set"}"#,
                "unknown command `stok.set`; expected restock.begin",
            ),
            (r#"{"command": "stock.set"}"#, "`stock.set`: no `shelf`"),
            (
                r#"{"command": "restock.begin", "shelf": "g1-s9"}"#,
                "no shelf `g1-s9` in the store file; did you mean `g1-s1`?",
            ),
            (
                r#"{"command": "stock.set", "shelf": "g1-s1", "gtin": "2000000010014", "on_hand": -1}"#,
                "`on_hand` is -1; expected a whole number from 0 to 100000",
            ),
            (
                r#"{"command": "stock.set", "shelf": "g1-s1", "gtin": "2000000010014", "on_hand": 100001}"#,
                "`on_hand` is 100001; expected a whole number from 0 to 100000",
            ),
            (
                r#"{"command": "price.set", "gtin": "2000000010015", "price": "1"}"#,
                "ends in check digit 5; its other digits ask for 4",
            ),
            (
                r#"{"command": "price.set", "gtin": "4006381333931", "price": "1"}"#,
                "no product 04006381333931 in the catalogue",
            ),
            (
                r#"{"command": "price.set", "gtin": "2000000010014", "price": "1.234"}"#,
                "`price` is \"1.234\"; expected a decimal in EUR, which has 2 digits",
            ),
            (
                r#"{"command": "visit.close", "visit": "v-+1"}"#,
                "`visit` is \"v-+1\"; expected one such as v-000017",
            ),
            (by.as_str(), "`by` has 64 characters; at most 63"),
            (
                &review(r#""decision": "settle""#),
                "`decision` is \"settle\"; expected confirm or correct",
            ),
            (&review(r#""decision": "correct""#), "no `lines`"),
            (
                &review(r#""decision": "confirm", "lines": []"#),
                "they go with correct",
            ),
            (
                &review(
                    r#""decision": "correct", "lines": [{"gtin": "2000000010014", "quantity": 0}]"#,
                ),
                "line 1: `quantity` is 0; expected a whole number from 1 to 1000",
            ),
            (
                &review(
                    r#""decision": "correct", "lines": [{"gtin": "2000000010014", "quantity": 1}, {"gtin": "02000000010014", "quantity": 1}]"#,
                ),
                "line 2: 02000000010014 has a line already",
            ),
            (many.as_str(), "201 `lines`; at most 200"),
            (long.as_str(), "at most 65536"),
            (
                r#"{"command": "resend", "from": 0}"#,
                "`from` is 0; expected a whole number from 1",
            ),
            (r#"{"command": "resend", "from": 1.5}"#, "`from` is 1.5"),
            (
                r#"{"command": "resend", "from": 1, "journal": 3}"#,
                "`journal` is 3; expected text",
            ),
        ];
        for (text, told) in cases {
            let refused = parse(&store, text.as_bytes()).unwrap_err();
            assert!(refused.contains(told), "{text}: {refused}");
        }
    }

    #[test]
    fn no_field_of_no_command_makes_it_panic() {
        let store = kiosk();
        let right = json!({
            "shelf": "g1-s1", "gtin": WATER, "on_hand": 7, "price": "1.20", "visit": "v-000017",
            "decision": "correct", "lines": [{"gtin": WATER, "quantity": 2}], "from": 9,
            "journal": "j", "by": "s-3",
        });
        let odd = [
            json!(null),
            json!(true),
            json!(-1),
            json!(1.5),
            json!(1e300),
            json!(u64::MAX),
            json!(""),
            json!("v-"),
            json!("v-99999999999999999999999"),
            json!("\u{0}\u{1F6D2}é"),
            json!("9999999999999999"),
            json!([]),
            json!([[]]),
            json!([null]),
            json!({}),
            json!([{"gtin": WATER}]),
            json!([{"quantity": 1e30, "gtin": WATER}]),
            json!({"a": [{}]}),
        ];
        let mut taken = 0;
        for name in COMMANDS.split([',', ' ']).filter(|name| !name.is_empty()) {
            for field in right.as_object().expect("an object").keys() {
                for value in &odd {
                    let mut command = right.clone();
                    command["command"] = json!(name);
                    command[field] = value.clone();
                    let Ok(command) = parse(&store, command.to_string().as_bytes()) else {
                        continue;
                    };
                    taken += 1;
                    assert_eq!(parse(&store, &encode(&store, &command)), Ok(command));
                }
            }
        }
        assert!(taken > 500, "{taken} commands were right");
    }
}
