//! Where in the world the radio is: which frequencies and powers are legal.

use core::fmt;

/// A region by the module's number (`TMR_Region`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region(u8);

/// Names and numbers; where the makers have several for one place the plain name is the one that
/// present modules know.
const NAMES: &[(&str, u8)] = &[
    ("na", 1),
    ("eu1", 2),
    ("kr1", 3),
    ("in", 4),
    ("jp", 5),
    ("cn", 6),
    ("eu2", 7),
    ("eu", 8),
    ("eu3", 8),
    ("kr", 9),
    ("cn2", 10),
    ("au", 11),
    ("nz", 12),
    ("na2", 13),
    ("na3", 14),
    ("is", 15),
    ("my", 16),
    ("id", 17),
    ("ph", 18),
    ("tw", 19),
    ("mo", 20),
    ("ru", 21),
    ("sg", 22),
    ("jp2", 23),
    ("jp3", 24),
    ("vn", 25),
    ("th", 26),
    ("ar", 27),
    ("hk", 28),
    ("bd", 29),
    ("eu4", 30),
    ("is2", 32),
    ("na4", 33),
    ("open", 255),
];

impl Region {
    pub fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// None where no region has that name.
    pub fn from_name(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(Self(found.1))
    }

    pub fn code(self) -> u8 {
        self.0
    }

    /// Whether the module was told one at all: without, it sends nothing.
    pub fn is_set(self) -> bool {
        self.0 != 0
    }

    /// All names, for whoever wrote another.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// What serves where this one is refused: a Nano knows North America by narrower bands alone.
    pub fn instead(self) -> &'static [Self] {
        match self.0 {
            1 => &[Self(13), Self(14)],
            _ => &[],
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, code)| *code == self.0) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "region {}", self.0),
        }
    }
}
