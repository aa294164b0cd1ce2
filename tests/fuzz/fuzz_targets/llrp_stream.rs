//! A stream: cut anywhere it gives the same messages, refusals and offsets.

#![no_main]

use basketd::wire::llrp::Framer;
use libfuzzer_sys::fuzz_target;

const LIMIT: u32 = 1 << 16;

fn pop_all(framer: &mut Framer, told: &mut Vec<String>) {
    loop {
        match framer.pop() {
            Ok(Some(message)) => told.push(format!("{message:?}")),
            Ok(None) => break,
            Err(refused) => {
                told.push(format!("{refused} at {}", framer.offset()));
                if !framer.skip_refused(&refused) {
                    break;
                }
            }
        }
    }
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, stream) = input;
    let (mut whole, mut cut_up) = (Framer::new(LIMIT), Framer::new(LIMIT));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    whole.push(stream);
    pop_all(&mut whole, &mut first);
    for piece in stream.chunks(usize::from(cut) + 1) {
        cut_up.push(piece);
        pop_all(&mut cut_up, &mut second);
    }
    // What is no LLRP at all is told again with each piece, and with the bytes that are there.
    let foreign = |told: &String| !told.starts_with("this is no LLRP");
    first.retain(foreign);
    second.retain(foreign);
    second.dedup();
    first.dedup();
    assert_eq!(first, second);
    assert_eq!(whole.offset(), cut_up.offset());
    assert_eq!(whole.waiting(), cut_up.waiting());
});
