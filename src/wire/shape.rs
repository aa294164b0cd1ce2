//! What texts and numbers of the wire look like, for JSON Schemas; the types hold nothing.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident = $schema:tt;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

shapes! {
    /// A GTIN as it is written: 14 digits.
    Gtin = {"type": "string", "pattern": "^[0-9]{14}$", "examples": ["00071063437089"]};
    /// A GTIN as it is read: 8, 12, 13 or 14 digits.
    AnyGtin = {"type": "string", "pattern": "^([0-9]{8}|[0-9]{12,14})$"};
    /// An EPC as it is written.
    Epc = {"type": "string", "pattern": "^([0-9A-F]{2}){1,62}$"};
    /// An EPC as it is read.
    AnyEpc = {"type": "string", "pattern": "^([0-9A-Fa-f]{2}){1,62}$"};
    /// RFC 3339 UTC with six decimals.
    Time = {
        "type": "string",
        "format": "date-time",
        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z$"
    };
    /// A visit's id.
    Visit = {"type": "string", "pattern": "^v-[0-9]{6,}$", "examples": ["v-000017"]};
    /// A visit's id as it is read: zeros may be missing.
    AnyVisit = {"type": "string", "pattern": "^v-[0-9]+$", "examples": ["v-000017"]};
    /// An amount of money.
    Money = {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$", "examples": ["6.50"]};
    /// An amount of money as it is read: a number will do, too.
    AnyMoney = {
        "type": ["string", "number"],
        "pattern": "^[0-9]{1,12}(\\.[0-9]+)?$",
        "minimum": 0,
        "examples": ["6.50"]
    };
    /// A currency's ISO 4217 code.
    Currency = {"type": "string", "pattern": "^[A-Z]{3}$", "examples": ["EUR"]};
    /// A probability; published ones have three decimals.
    Probability = {"type": "number", "minimum": 0, "maximum": 1};
    /// A number of things.
    Count = {"type": "integer", "minimum": 0};
    /// A number of things, at least one.
    Ordinal = {"type": "integer", "minimum": 1};
}
