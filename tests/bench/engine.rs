//! The engine by itself: a million tag reads of ten thousand tags.

use std::fmt::Write as _;
use std::sync::Arc;

use basketd::engine::{Engine, Input};
use basketd::gs1::Epc;
use basketd::observation::{Observation, Sensed, TagRead};
use basketd::store::Store;
use basketd::units::{TimeDelta, Timestamp};

fn main() {
    divan::main();
}

/// A shop with ten shelves, each with an antenna.
fn store() -> Arc<Store> {
    let mut text = String::from(
        "[store]\nid = \"bench\"\ncatalog = \"catalog.csv\"\n[[zone]]\nid = \"door\"\nkinds = \
         [\"entry\", \"exit\"]\npolygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]\n\
         [[gondola]]\nid = \"g1\"\nfront = [[0.0, 3.0], [2.0, 3.0]]\n",
    );
    let mut antennas = String::new();
    for shelf in 1..=10 {
        writeln!(text, "[[gondola.shelf]]\nid = \"s{shelf}\"\nfacings = []")
            .expect("a string takes all text");
        writeln!(antennas, "  {{ port = {shelf}, shelf = \"s{shelf}\" }},")
            .expect("a string takes all text");
    }
    write!(text, "[[reader]]\nid = \"r1\"\nantennas = [\n{antennas}]\n")
        .expect("a string takes all text");
    let mut open = |_: &str| Ok("gtin,name,price,weight_g\n".to_owned());
    let read = basketd::store::file::read("store.toml", &text, &mut open);
    Arc::new(read.expect("the bench's store is right").store)
}

#[divan::bench(sample_count = 3, sample_size = 1)]
fn million_reads_of_ten_thousand_tags(bencher: divan::Bencher<'_, '_>) {
    let store = store();
    let antennas: Vec<_> = store.readers[0].antennas.values().copied().collect();
    let epcs: Vec<Epc> = (0..10_000_u32)
        .map(|i| {
            Epc::new(&[&[0x30; 8][..], &i.to_be_bytes()].concat()).expect("an even number of bytes")
        })
        .collect();
    bencher
        .counter(divan::counter::ItemsCount::new(1_000_000_u32))
        .bench_local(|| {
            let mut engine = Engine::new(Arc::clone(&store));
            let mut at = Timestamp::from_micros(1_700_000_000_000_000);
            for i in 0..1_000_000_usize {
                at += TimeDelta::from_micros(100);
                let tag = i % epcs.len();
                let antenna = antennas[tag % antennas.len()];
                let read = TagRead {
                    epc: epcs[tag],
                    antenna,
                    rssi_dbm: -50.0,
                    count: 1,
                    phase_deg: None,
                };
                while let Some((due, why)) = engine.poll_timeout().filter(|(due, _)| *due <= at) {
                    engine.handle(due, Input::Timeout(why));
                }
                let sensed = Sensed::TagRead(read);
                engine.handle(
                    at,
                    Input::Observation(Observation {
                        captured_at: at,
                        sensed,
                    }),
                );
                while engine.poll_output().is_some() {}
            }
            engine.poll_timeout()
        });
}
