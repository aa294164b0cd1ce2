//! What the messages of each channel of a recording are to a store, found at a channel's first
//! message. Channels come in any order: a file may declare all before the first message, and one
//! that is sorted begins with any.

use crate::recording::Channel;
use crate::store::Store;
use crate::wire::message::{Route, route};

/// Routes by the channel's number.
#[derive(Debug, Clone, Default)]
pub(super) struct Routes(Vec<Option<Route>>);

impl Routes {
    /// The channel's route; all of one `Routes` are asked for with the same store.
    pub(super) fn of(&mut self, store: &Store, channel: &Channel) -> &Route {
        let number = channel.number;
        if self.0.len() <= number {
            self.0.resize(number + 1, None);
        }
        self.0[number]
            .get_or_insert_with(|| route(store, &channel.topic, &channel.schema, &channel.encoding))
    }

    /// Forgets all: numbers begin anew, or the store is another.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GateIx, ReaderIx};

    fn channel(number: usize, topic: &str, schema: &str) -> Channel {
        Channel {
            number,
            topic: topic.to_owned(),
            schema: schema.to_owned(),
            encoding: "json".to_owned(),
        }
    }

    #[test]
    fn each_channel_has_its_own_route_whichever_comes_first() {
        let kiosk = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kiosk");
        let store = crate::app::load::load(&kiosk.join("store.toml")).unwrap();
        let mut routes = Routes::default();
        let gate = channel(2, "/gate/door", "basketd.GateEvent");
        let reader = channel(0, "/rfid/r1", "basketd.TagRead");
        for _ in 0..2 {
            let route = routes.of(&store.store, &gate);
            assert_eq!(*route, Route::Gate(GateIx(0)));
            let route = routes.of(&store.store, &reader);
            assert_eq!(*route, Route::TagRead(ReaderIx(0)));
        }
    }
}
