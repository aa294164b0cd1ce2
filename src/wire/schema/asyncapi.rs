//! The AsyncAPI 3.0.0 document: what the daemon says and hears at the broker.

use serde_json::{Map, Value, json};

use super::schemas;

const CLOUD_EVENTS: &str = "application/cloudevents+json; charset=utf-8";
const JSON: &str = "application/json";

/// A place at the broker.
struct Channel {
    name: &'static str,
    /// Below `basketd/v1/{store}/`.
    tail: &'static str,
    about: &'static str,
    retained: bool,
    /// Names of schemas.
    messages: &'static [&'static str],
}

/// Where the daemon speaks.
const SAID: [Channel; 8] = [
    Channel {
        name: "visit",
        tail: "visit/{visit}",
        about: "A visit's events, in the order of `sequence`.",
        retained: false,
        messages: &[
            "basketd.visit.opened",
            "basketd.item.taken",
            "basketd.item.returned",
            "basketd.basket.closed",
            "basketd.basket.adjusted",
        ],
    },
    Channel {
        name: "stock",
        tail: "stock/{shelf}/{gtin}",
        about: "A shelf's stock of a product.",
        retained: true,
        messages: &["basketd.stock.changed"],
    },
    Channel {
        name: "stockAlert",
        tail: "stock-alert",
        about: "Products that run low or stand where they do not belong.",
        retained: false,
        messages: &["basketd.stock.low", "basketd.stock.misplaced"],
    },
    Channel {
        name: "traffic",
        tail: "traffic/{zone}",
        about: "People in a zone. May be dropped when the disk is full.",
        retained: false,
        messages: &["basketd.traffic.counted"],
    },
    Channel {
        name: "interest",
        tail: "interest/{gtin}",
        about: "What a product met with. May be dropped when the disk is full.",
        retained: false,
        messages: &["basketd.interest.counted"],
    },
    Channel {
        name: "alert",
        tail: "alert",
        about: "What people should know of, and items taken or returned by nobody known.",
        retained: false,
        messages: &[
            "basketd.alert.raised",
            "basketd.alert.cleared",
            "basketd.item.taken",
            "basketd.item.returned",
        ],
    },
    Channel {
        name: "status",
        tail: "status",
        about: "The box's state; `offline` is its last will.",
        retained: true,
        messages: &["basketd.Status"],
    },
    Channel {
        name: "source",
        tail: "source/{kind}/{id}",
        about: "A sensor's state.",
        retained: true,
        messages: &["basketd.SourceStatus"],
    },
];

/// Where the daemon hears what the backend has.
const ACK: Channel = Channel {
    name: "ack",
    tail: "ack",
    about: "The highest `n` up to which the backend has everything safely stored.",
    retained: true,
    messages: &["basketd.Ack"],
};

/// What begins the name of a command's schema.
const COMMAND: &str = "basketd.cmd.";

/// The whole document.
pub fn asyncapi() -> Value {
    let (mut channels, mut operations) = (Map::new(), Map::new());
    for said in &SAID {
        channels.insert(said.name.to_owned(), channel(said));
        let operation = operation("send", said.name, said.about, said.retained, said.messages);
        operations.insert(named("send", said.name), operation);
    }
    channels.insert(ACK.name.to_owned(), channel(&ACK));
    let heard = operation("receive", ACK.name, ACK.about, ACK.retained, ACK.messages);
    operations.insert(named("receive", ACK.name), heard);
    for (schema, command) in commands() {
        let name = named("command", command);
        channels.insert(name.clone(), command_channel(schema, command));
        operations.insert(named("receive", &name), request(&name, schema));
    }
    channels.insert("reply".to_owned(), reply_channel());
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "basketd",
            "version": "1.0.0",
            "description": "What the box of a shop without tills says and hears over MQTT 5. \
                Operations are the daemon's. Events come at least once; the same `id` is the same \
                bytes, and a backend applies the contiguous prefix of `n`.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages(),
            "schemas": payloads(),
            "parameters": parameters(),
        },
    })
}

/// Schemas of commands, with the commands' names.
fn commands() -> impl Iterator<Item = (&'static str, &'static str)> {
    let names = schemas().keys();
    names.filter_map(|name| Some((*name, name.strip_prefix(COMMAND)?)))
}

/// Schemas of what goes over the broker.
fn at_the_broker() -> impl Iterator<Item = &'static str> {
    let said = SAID.iter().flat_map(|said| said.messages);
    let named = said.chain(ACK.messages).chain(&["basketd.Reply"]).copied();
    let mut names: Vec<_> = named.chain(commands().map(|(schema, _)| schema)).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter()
}

fn channel(channel: &Channel) -> Value {
    let mut made = json!({
        "address": format!("basketd/v1/{{store}}/{}", channel.tail),
        "description": channel.about,
        "messages": references(channel.messages),
        "parameters": {"store": reference("parameters", "store")},
    });
    let levels = channel.tail.split('/');
    for name in levels.filter_map(|level| level.strip_prefix('{')?.strip_suffix('}')) {
        made["parameters"][name] = reference("parameters", name);
    }
    made
}

fn command_channel(schema: &str, command: &str) -> Value {
    json!({
        "address": format!("basketd/v1/{{store}}/cmd/{command}"),
        "description": "A command towards the daemon; not retained.",
        "messages": references(&[schema]),
        "parameters": {"store": reference("parameters", "store")},
    })
}

fn reply_channel() -> Value {
    json!({
        "address": null,
        "description": "The request's MQTT 5 response topic; the answer has its correlation data. \
            Without a response topic there is no answer.",
        "messages": references(&["basketd.Reply"]),
    })
}

fn references(messages: &[&str]) -> Value {
    let each = messages.iter();
    let each = each.map(|name| ((*name).to_owned(), reference("messages", name)));
    Value::Object(each.collect())
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

fn operation(action: &str, channel: &str, about: &str, retained: bool, messages: &[&str]) -> Value {
    json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "summary": about,
        "messages": of_channel(channel, messages),
        "bindings": {"mqtt": {"qos": 1, "retain": retained, "bindingVersion": "0.2.0"}},
    })
}

fn request(channel: &str, schema: &str) -> Value {
    let about = schemas()[schema]["description"].as_str();
    let mut made = operation("receive", channel, about.unwrap_or(""), false, &[schema]);
    made["reply"] = json!({
        "address": {
            "description": "The MQTT 5 response topic of the request.",
            "location": "$message.header#/responseTopic",
        },
        "channel": {"$ref": "#/channels/reply"},
        "messages": of_channel("reply", &["basketd.Reply"]),
    });
    made
}

fn of_channel(channel: &str, messages: &[&str]) -> Value {
    let each = messages.iter();
    let each = each.map(|name| json!({"$ref": format!("#/channels/{channel}/messages/{name}")}));
    Value::Array(each.collect())
}

fn messages() -> Value {
    let message = |name: &'static str| {
        let schema = &schemas()[name];
        let event = schema.pointer("/properties/specversion").is_some();
        let content = if event { CLOUD_EVENTS } else { JSON };
        let made = json!({
            "name": name,
            "title": name,
            "summary": schema["description"],
            "contentType": content,
            "payload": reference("schemas", name),
            "bindings": {"mqtt": {"contentType": content, "bindingVersion": "0.2.0"}},
        });
        (name.to_owned(), made)
    };
    Value::Object(at_the_broker().map(message).collect())
}

/// The schemas, which here are of AsyncAPI's own dialect: it has all that ours use.
fn payloads() -> Value {
    let payload = |name: &'static str| {
        let mut schema = schemas()[name].clone();
        if let Some(fields) = schema.as_object_mut() {
            fields.retain(|key, _| key != "$schema");
        }
        (name.to_owned(), schema)
    };
    Value::Object(at_the_broker().map(payload).collect())
}

fn parameters() -> Value {
    json!({
        "store": {"description": "The store's id.", "examples": ["nano-1"]},
        "visit": {"description": "The visit's id.", "examples": ["v-000017"]},
        "shelf": {"description": "The shelf's id.", "examples": ["g2-s5"]},
        "gtin": {"description": "The product: 14 digits.", "examples": ["00071063437089"]},
        "zone": {"description": "The zone's id.", "examples": ["entry"]},
        "kind": {
            "description": "The kind of sensor.",
            "enum": ["rfid", "camera", "scale", "gate", "door"],
        },
        "id": {"description": "The sensor's id.", "examples": ["r1"]},
    })
}

/// `send` and `stockAlert` as `sendStockAlert`, `command` and `price.set` as `commandPriceSet`.
fn named(verb: &str, name: &str) -> String {
    let mut made = verb.to_owned();
    for word in name.split('.') {
        let mut letters = word.chars();
        made.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        made.push_str(letters.as_str());
    }
    made
}
