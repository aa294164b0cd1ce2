//! Whether a HID device is a scale, by its report descriptor (HID 1.11, 6.2.2): as much of it as
//! that needs.

/// How a scale's reports of weights begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// With this id.
    WithId(u8),
    /// Without an id.
    Plain,
    /// The descriptor names no weight: by the report's length, and the ids that scales usually have.
    Guessed,
}

/// Point-of-sale weighing devices.
const WEIGHING: u16 = 0x8D;
/// Of the page above: the number in which a weight stands.
const DATA_WEIGHT: u16 = 0x40;

/// The layout of a weighing device's reports; none where the device is something else.
pub fn layout(descriptor: &[u8]) -> Option<Layout> {
    let mut items = Items(descriptor);
    let mut scan = Scan::default();
    while let Some(item) = items.next_item() {
        scan.take(item);
    }
    scan.found()
}

/// A short item: what it is, without its size, and its value.
struct Item {
    kind: u8,
    size: usize,
    value: u32,
}

mod kind {
    pub(super) const INPUT: u8 = 0x80;
    pub(super) const OUTPUT: u8 = 0x90;
    pub(super) const COLLECTION: u8 = 0xA0;
    pub(super) const FEATURE: u8 = 0xB0;
    pub(super) const USAGE_PAGE: u8 = 0x04;
    pub(super) const REPORT_ID: u8 = 0x84;
    pub(super) const USAGE: u8 = 0x08;
}

struct Items<'a>(&'a [u8]);

impl Items<'_> {
    /// None at the end, or where the rest is cut off.
    fn next_item(&mut self) -> Option<Item> {
        let (prefix, rest) = self.0.split_first()?;
        let size = match prefix & 3 {
            3 => 4,
            size => usize::from(size),
        };
        // A long item: its size, a tag, data; none are defined.
        if *prefix == 0xFE {
            let skip = usize::from(*rest.first()?) + 2;
            self.0 = rest.get(skip..)?;
            return Some(Item {
                kind: 0xFC,
                size: 0,
                value: 0,
            });
        }
        let (data, rest) = rest.split_at_checked(size)?;
        self.0 = rest;
        let value = data
            .iter()
            .rev()
            .fold(0, |value, byte| (value << 8) | u32::from(*byte));
        Some(Item {
            kind: prefix & 0xFC,
            size,
            value,
        })
    }
}

#[derive(Default)]
struct Scan {
    page: u16,
    report_id: Option<u8>,
    /// Whether the usages before the next main item name a weight.
    weight_named: bool,
    is_weighing: bool,
    weight_in: Option<Option<u8>>,
}

impl Scan {
    fn take(&mut self, item: Item) {
        match item.kind {
            kind::USAGE_PAGE => {
                self.page = item.value as u16;
                self.is_weighing |= self.page == WEIGHING;
            }
            kind::REPORT_ID => self.report_id = Some(item.value as u8),
            kind::USAGE => self.usage(&item),
            kind::INPUT => {
                if self.weight_named && self.weight_in.is_none() {
                    self.weight_in = Some(self.report_id);
                }
                self.weight_named = false;
            }
            kind::OUTPUT | kind::FEATURE | kind::COLLECTION => self.weight_named = false,
            _ => {}
        }
    }

    /// A usage of four bytes brings its own page.
    fn usage(&mut self, item: &Item) {
        let page = match item.size {
            4 => (item.value >> 16) as u16,
            _ => self.page,
        };
        self.is_weighing |= page == WEIGHING;
        self.weight_named |= page == WEIGHING && item.value as u16 == DATA_WEIGHT;
    }

    fn found(&self) -> Option<Layout> {
        if !self.is_weighing {
            return None;
        }
        Some(match self.weight_in {
            Some(Some(id)) => Layout::WithId(id),
            Some(None) => Layout::Plain,
            None => Layout::Guessed,
        })
    }
}
