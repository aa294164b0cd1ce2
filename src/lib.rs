//! `basketd` runs on a box in a shop without tills. It reads RFID readers, cameras, scales and
//! gates, works out which shopper took which items, and publishes basket events for a checkout
//! backend. The same engine replays a recorded sensor file and gives the same bytes.
//!
//! # The picture
//!
//! ```text
//!    LIVE                                                     REPLAY
//!  rfid/ camera/ scale/ gate/ ─► Outlets; or a tape         a recording (MCAP), recording/
//!  commands over MQTT, the store file                              │ wire/ decodes
//!         │ bounded queues, vision/ (inference)                    │
//!         ▼                                                        ▼
//!    sequencer: ONE total order ─► journal (MCAP)        the same order, virtual clock
//!         └─────────────────────────► engine.handle(at, Input) ◄───┘
//!  ════════════ pure below: no clock, no I/O, no randomness, no hash order ════════════
//!      observation ─► presence (tags) ─┐
//!                  ├► tracking (people)├► fusion: evidence → accounts → worlds → actions
//!                  └► shelf (scales,   ┘            │
//!                     product counts)               ▼
//!                                      basket: visits, lines, receipts    insight: stock
//!  ═════════════════════════════════════════════════════════════════════════════════════
//!                     engine.poll_output()  ──►  wire/ encodes
//!         ┌────────────────┴───────────────┐
//!    outbox (SQLite) ─► uplink ─► MQTT   replay: events.jsonl, compared as bytes
//! ```
//!
//! # How it decides
//!
//! 1. *Who is who.* A gate admits, cameras see somebody come in; the seconds between the two are about
//!    the same at one gate. All ways of pairing people and admissions are weighed together, so that an
//!    admission finds its person and a tail-gater none (`basket/entry`). People who meet are followed
//!    on; what that leaves in doubt is small and known ([`tracking`]), and the tags that they carry
//!    settle it as they leave (`fusion/met`). Where no camera sees the floor, a door that opens tells
//!    that somebody goes, and the tags that the gate hears tell who (`basket/passing`).
//! 2. *What happened at a shelf.* A step on scales, a tag that falls silent or weak, a column of products
//!    that shifts in a picture open an interaction. Each account of it is weighed by all sensors at once:
//!    grams, less what plates leak to their neighbours; what *every* tag of the shelf says, those that
//!    stand there still included (`presence/say`); cameras, by whether a hand was seen there. A tag's own
//!    level and hit rate, an antenna's, a plate's noise, a camera's error by place are learned.
//! 3. *Who did it*: where people stood when each part of a step happened (`shelf/scale` knows the moments
//!    of rest within one).
//! 4. *What that makes of the story*: accounts and people branch the worlds; put-backs, the gate, tags
//!    heard inside later reweigh them. A tag is heard by all that its holder passes: its reads are held
//!    against everybody's walk, and one that goes on with somebody else has changed hands
//!    (`fusion/comove`). What is likeliest is told at once (`fusion/early`) and corrected
//!    when the slower sensors have spoken; holdings change when it is decided.
//!
//! # Nothing is lost
//!
//! The journal is the write-ahead log. An input is written to it before the engine sees it, and on
//! disk before the events that follow from it are committed to the outbox; an event is sent only
//! after that, and again until the backend's watermark has passed it. Each file of the journal begins
//! with the frozen engine: after a kill the youngest snapshot is thawed and the tail replayed, which
//! gives the same events with the same numbers, and the outbox gets those that it lacks. Exact replay
//! is exact recovery.
//!
//! | thread or task | owns | full or slow |
//! | --- | --- | --- |
//! | `engine` (`app/run/sequencer`) | the engine, the journal's file, the order | inputs wait in a queue of 4,096; sensors then wait, and count what they lose |
//! | `outbox` | the database | takes all that waits into one transaction; the engine waits beyond 256 batches |
//! | uplink task | one MQTT connection and what is under way on it | the broker's window; at most 4,096 events beyond the watermark |
//! | `tape` | a recording that is played as if it were live | waits for the engine |
//! | commands, console, standing state | nothing that must survive | refuse, or the latest wins |
//!
//! # Live sensors
//!
//! A sensor has a supervisor, which connects, configures, listens and begins again for ever, and tells
//! three things through its [`link::outlet::Outlet`]: readings as recordings hold them, how it is, and
//! what was lost. `app/run/live` alone knows which sensor of the store each one is. States and losses
//! are inputs of the engine like readings: what a missing sensor does not say is no evidence.
//!
//! | supervisor | runs on | full or slow |
//! | --- | --- | --- |
//! | LLRP readers, scales and gates over MQTT | tokio tasks | readings wait half a second for room, then are counted as lost and told first |
//! | cameras, USB readers and scales | a named thread each | the same; of frames the newest wins |
//! | models (`vision::Live`) | `look-0`, `look-1`, …: as many as cores, no more than cameras | a frame that nobody came for before the next is not looked at |
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
//! | 7 | [`wire`] | pure codecs: recording messages, events, commands, topics, schemas; LLRP, ThingMagic, UHFReader18, HID scales, multipart |
//! | | purity line | |
//! | 8 | [`clock`] | the only file that reads a clock |
//! | 9 | [`link`] | MQTT, USB, serial lines, secrets: ways in and out that several edges share |
//! | 10 | [`rfid`], [`camera`], [`scale`], [`gate`], [`vision`], [`recording`], [`outbox`], [`uplink`], [`console`] | supervisors of sensors; models over frames; recorded sensor files and the journal; events until the backend has them; the way there; the box's own pages |
//! | 11 | [`sim`] | a shop that does not exist: recordings with their truth, and devices that speak real protocols |
//! | 12 | [`app`] | one file for each subcommand; `app/run` is the daemon |
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
//! | journal | what the engine was given, in order; its id is in every event's id |
//! | watermark | the highest `n` up to which the backend has everything |
//! | settle, review | a receipt that can be charged, one at which a person must look |

pub mod app;
pub mod basket;
pub mod camera;
pub mod clock;
pub mod console;
pub mod engine;
pub mod fusion;
pub mod gate;
pub mod gs1;
pub mod ids;
pub mod insight;
pub mod link;
pub mod observation;
pub mod outbox;
pub mod presence;
pub mod recording;
pub mod rfid;
pub mod scale;
pub mod shelf;
pub mod sim;
pub mod store;
pub mod tracking;
pub mod units;
pub mod uplink;
pub mod vision;
pub mod wire;
