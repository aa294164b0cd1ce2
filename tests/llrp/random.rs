//! Messages out of the table and a seed: every field within its bits, every parameter where the
//! standard has a place for it.

use basketd::wire::llrp::schema::{Field, Shape, Slot};
use basketd::wire::llrp::{BitArray, Definition, Draft, Value};

/// A sequence that a seed decides.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        // xorshift64*, Vigna 2016.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() >> 32).unwrap() % n
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

pub(crate) fn message(dice: &mut Dice) -> Draft {
    let all: Vec<_> = Definition::all()
        .iter()
        .filter(|d| d.is_message())
        .collect();
    element(all[dice.below(all.len())], dice, 0)
}

pub(crate) fn element(definition: &'static Definition, dice: &mut Dice, depth: usize) -> Draft {
    let named = definition.fields.iter().filter(|f| !f.name.is_empty());
    let draft = named.fold(Draft::new(definition.name), |draft, field| {
        draft.set(field.name, value(field, dice))
    });
    let slots = definition.slots.iter();
    let parameters: Vec<_> = slots.flat_map(|slot| fill(slot, dice, depth)).collect();
    draft.with_all(parameters)
}

fn fill(slot: &'static Slot, dice: &mut Dice, depth: usize) -> Vec<Draft> {
    let most = match (slot.repeats, depth) {
        (true, 0..4) => 3,
        (_, 0..8) => 2,
        // Parameter errors hold parameter errors.
        _ => 1,
    };
    let least = usize::from(slot.required);
    let count = least
        + dice.below(if slot.repeats {
            most
        } else {
            most.min(2 - least)
        });
    (0..count)
        .map(|_| {
            let name = slot.names[dice.below(slot.names.len())];
            element(Definition::find(name).unwrap(), dice, depth + 1)
        })
        .collect()
}

fn value(field: &Field, dice: &mut Dice) -> Value {
    let some = dice.below(20);
    let masked = |bits: u32, dice: &mut Dice| dice.next() >> (64 - bits);
    match field.shape {
        Shape::Bits(bits) => masked(bits.into(), dice).into(),
        Shape::Unsigned(bytes) => masked(u32::from(bytes) * 8, dice).into(),
        Shape::Signed(bytes) => {
            let number = dice.next().cast_signed();
            (number >> (64 - 8 * u32::from(bytes))).into()
        }
        Shape::Fixed(length) => dice.bytes(length.into()).into(),
        Shape::BitArray => {
            let count = u16::try_from(dice.below(200)).unwrap();
            let bytes = dice.bytes(usize::from(count).div_ceil(8));
            BitArray::new(count, bytes).unwrap().into()
        }
        Shape::Array(1) | Shape::Rest => dice.bytes(some).into(),
        Shape::Array(4) => (0..some)
            .map(|_| dice.next() as u32)
            .collect::<Vec<_>>()
            .into(),
        Shape::Array(_) | Shape::Words => (0..some)
            .map(|_| dice.next() as u16)
            .collect::<Vec<_>>()
            .into(),
        Shape::Text => "Überlauf, Antenne 3 "
            .chars()
            .take(some)
            .collect::<String>()
            .into(),
    }
}
