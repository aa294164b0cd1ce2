//! `basketd` runs on a box in a shop without tills. It reads RFID readers, cameras, scales and
//! gates, works out which shopper took which items, and publishes basket events for a checkout
//! backend. The same engine replays a recorded sensor file and gives the same bytes.
//!
//! # The picture
//!
//! ```text
//!    LIVE (to come)                                           REPLAY
//!  readers, cameras, scales, gates ── vision/ (inference)   a recording (MCAP), recording/
//!         │ Observation (captured_at)                             │ wire/ decodes
//!         ▼                                                       ▼
//!    one total order ───────────────────► engine.handle(at, Input) ◄── virtual clock
//!  ════════════ pure below: no clock, no I/O, no randomness, no hash order ════════════
//!      observation ─► presence (tags) ─┐
//!                  ├► tracking (people)├► fusion: evidence → accounts → worlds → actions
//!                  └► shelf (scales,   ┘            │
//!                     product counts)               ▼
//!                                      basket: visits, lines, receipts, stock
//!  ═════════════════════════════════════════════════════════════════════════════════════
//!                     engine.poll_output()  ──►  wire/ encodes  ──►  events.jsonl
//! ```
//!
//! # Floors
//!
//! A module uses only modules on lower floors; modules of one floor do not see each other.
//! `tests/floors.rs` checks this, and that the pure floors touch no runtime.
//!
//! | floor | modules | hold |
//! | --- | --- | --- |
//! | 0 | [`units`], [`ids`], [`gs1`] | time as a value, geometry, statistics; ids; GTINs and EPCs |
//! | 1 | [`store`] | layout, planogram, sensors, catalogue: validated, cannot be wrong afterwards |
//! | 2 | [`observation`] | what sensors say |
//! | 3 | [`presence`], [`tracking`], [`shelf`] | tags present or departed; people on the floor plan; steps on scales and counts of products |
//! | 4 | [`fusion`] | what evidence is worth, hypotheses, who holds what |
//! | 5 | [`basket`], [`insight`] | visits, lines, receipts, events before any text; stock |
//! | 6 | [`engine`] | handle and poll, wake-ups, snapshot (freeze, thaw), one store file after another |
//! | 7 | [`wire`] | pure codecs: recording messages, events |
//! | | purity line | |
//! | 8 | [`clock`] | the only file that reads a clock |
//! | 10 | [`vision`], [`recording`] | models over frames; recorded sensor files |
//! | 11 | [`sim`] | a shop that does not exist: recordings with their truth |
//! | 12 | [`app`] | one file for each subcommand |
//!
//! # Invariants
//!
//! 1. Time is a value. The engine sees no clock; deadlines that it asked for come back as inputs.
//! 2. Nothing iterates in hash order; ties are broken by id; floats are compared by `total_cmp`.
//! 3. `exp`, `ln` and the like come from `libm`, so that every platform has the same bits.
//! 4. Inference stays outside: its detections are inputs.
//! 5. The same recording gives the same bytes, whole or in parts with a freeze between.
//! 6. Items are conserved in every world of [`fusion`]: one unit has one holder.
//!
//! # Glossary
//!
//! | word | means |
//! | --- | --- |
//! | visit | one shopper or group from entry to exit |
//! | track | one person on the floor plan, for as long as the cameras can follow |
//! | interaction | somebody's hands at a shelf for a while, with all evidence of it |
//! | account | one way in which an interaction can have come about: which items, which way |
//! | world | one consistent story of who holds what; worlds carry weights |
//! | take, put-back | an item leaves a shelf, comes to a shelf |
//! | home | the read point at which a tag is normally heard |
//! | settle, review | a receipt that can be charged, one at which a person must look |

pub mod app;
pub mod basket;
pub mod clock;
pub mod console;
pub mod engine;
pub mod fusion;
pub mod gs1;
pub mod ids;
pub mod insight;
pub mod link;
pub mod observation;
pub mod outbox;
pub mod presence;
pub mod recording;
pub mod shelf;
pub mod sim;
pub mod store;
pub mod tracking;
pub mod units;
pub mod uplink;
pub mod vision;
pub mod wire;
