//! What operators and backends ask of the engine, what it refuses, and stock as events.

use super::{Engine, State};
use crate::basket::event::{Body, StockChanged, StockReason};
use crate::insight::stock::{Cause, StockEvent, capacity};
use crate::observation::Command;
use crate::store::Store;
use crate::units::Timestamp;

impl Engine {
    /// Why the engine would not do what a command asks; to be asked before the command is given
    /// to it. A refused command that it is given all the same changes nothing.
    pub fn refuses(&self, command: &Command) -> Option<String> {
        let s = &self.state;
        match command {
            Command::RestockEnd { shelf, .. } => {
                let begun = s.fusion.restocked().any(|restocked| restocked == *shelf);
                let shelf = &self.store.shelf(*shelf).id;
                (!begun).then(|| format!("nobody is restocking shelf {shelf}"))
            }
            Command::VisitClose { visit, .. } => {
                let Some(known) = s.baskets.visits.visit(*visit) else {
                    return Some(format!("no visit {visit} is open"));
                };
                let left = known.left_at?;
                Some(format!("visit {visit} has left already, at {left}"))
            }
            Command::BasketReview { visit, .. } => s.baskets.refuses_review(*visit),
            Command::StockSet { shelf, gtin, .. } => {
                let full = s.stock.is_full(*shelf, *gtin);
                full.then(|| "stock is known of as many products as fit".to_owned())
            }
            Command::RestockBegin { .. }
            | Command::PriceSet { .. }
            | Command::Resend { .. }
            | Command::Status => None,
        }
    }

    pub(super) fn on_command(&mut self, at: Timestamp, command: Command) {
        let mut events = Vec::new();
        let State {
            baskets,
            fusion,
            stock,
            ..
        } = &mut self.state;
        match command {
            Command::RestockBegin { shelf, .. } => fusion.on_restock(shelf, at, true),
            Command::RestockEnd { shelf, .. } => {
                let begin = fusion.restocked_since(shelf);
                fusion.on_restock(shelf, at, false);
                if let Some(begin) = begin {
                    self.on_restocked(at, shelf, begin);
                }
            }
            Command::PriceSet { gtin, price, .. } => baskets.set_price(gtin, price),
            Command::VisitClose { visit, .. } => {
                let mut changes = Vec::new();
                baskets.visits.close_by_command(at, visit, &mut changes);
                self.on_visits(at, &changes);
            }
            Command::StockSet {
                shelf,
                gtin,
                on_hand,
                ..
            } => {
                for event in stock.on_counted(&self.store, shelf, gtin, on_hand) {
                    events.push(baskets.number(at, None, stock_body(&self.store, event)));
                }
            }
            Command::BasketReview {
                visit, decision, ..
            } => baskets.on_review(&self.store, at, visit, &decision, &mut events),
            Command::Resend { .. } | Command::Status => {}
        }
        self.say(events);
    }
}

/// What is published of stock.
pub(super) fn stock_body(store: &Store, event: StockEvent) -> Body {
    match event {
        StockEvent::Changed {
            shelf,
            gtin,
            on_hand,
            cause,
        } => Body::StockChanged(StockChanged {
            shelf,
            gtin,
            on_hand,
            capacity: capacity(store, shelf, gtin),
            reason: match cause {
                Cause::Taken => StockReason::Taken,
                Cause::Returned => StockReason::Returned,
                Cause::Restocked => StockReason::Restocked,
                Cause::Counted => StockReason::Counted,
            },
        }),
        StockEvent::Low {
            shelf,
            gtin,
            on_hand,
        } => Body::StockLow {
            shelf,
            gtin,
            on_hand,
        },
    }
}
