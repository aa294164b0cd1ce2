//! Units of weight (usages 51 to 5C), each with its legal definition.

use core::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Milligram,
    Gram,
    Kilogram,
    Carat,
    Tael,
    Grain,
    Pennyweight,
    MetricTon,
    AvoirdupoisTon,
    TroyOunce,
    Ounce,
    Pound,
}

impl Unit {
    pub const ALL: [Self; 12] = [
        Self::Milligram,
        Self::Gram,
        Self::Kilogram,
        Self::Carat,
        Self::Tael,
        Self::Grain,
        Self::Pennyweight,
        Self::MetricTon,
        Self::AvoirdupoisTon,
        Self::TroyOunce,
        Self::Ounce,
        Self::Pound,
    ];

    /// By its number in a report, from 1.
    pub(super) fn parse(number: u8) -> Option<Self> {
        let index = usize::from(number).checked_sub(1)?;
        Self::ALL.get(index).copied()
    }

    /// Grams of one.
    pub(super) fn grams(self) -> f64 {
        match self {
            Self::Milligram => 1e-3,
            Self::Gram => 1.0,
            Self::Kilogram => 1e3,
            Self::Carat => 0.2,
            // Hong Kong's (Weights and Measures Ordinance, Cap. 68); the tables name no place.
            Self::Tael => 37.799_363_75,
            Self::Grain => 0.064_798_91,
            Self::Pennyweight => 1.555_173_84,
            Self::MetricTon => 1e6,
            // The short ton of 2,000 lb.
            Self::AvoirdupoisTon => 907_184.74,
            Self::TroyOunce => 31.103_476_8,
            Self::Ounce => 28.349_523_125,
            Self::Pound => 453.592_37,
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Milligram => "mg",
            Self::Gram => "g",
            Self::Kilogram => "kg",
            Self::Carat => "ct",
            Self::Tael => "tael",
            Self::Grain => "gr",
            Self::Pennyweight => "dwt",
            Self::MetricTon => "t",
            Self::AvoirdupoisTon => "ton",
            Self::TroyOunce => "ozt",
            Self::Ounce => "oz",
            Self::Pound => "lb",
        })
    }
}
