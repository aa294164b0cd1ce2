//! Streams: cut anywhere, out of step, or no LLRP at all.

use basketd::wire::llrp::{FrameError, Framer, Version, commands};
use proptest::prelude::*;

use crate::random::{self, Dice};

fn pop_all(framer: &mut Framer) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| framer.pop().unwrap().map(<[u8]>::to_vec)).collect()
}

fn conversation(seed: u64, messages: u32) -> Vec<Vec<u8>> {
    let mut dice = Dice::new(seed);
    let mut message = |id| {
        random::message(&mut dice)
            .encode(Version::V1_1, id)
            .unwrap()
    };
    (0..messages).map(&mut message).collect()
}

proptest! {
    #[test]
    fn a_stream_cut_anywhere_gives_the_same_messages(
        seed in any::<u64>(),
        cuts in prop::collection::vec(1_usize..700, 1..60),
    ) {
        let sent = conversation(seed, 12);
        let stream = sent.concat();
        let mut framer = Framer::default();
        let (mut got, mut rest) = (Vec::new(), &stream[..]);
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at(rest.len().min(*cut));
            framer.push(piece);
            got.extend(pop_all(&mut framer));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(got, sent);
        prop_assert_eq!(framer.offset(), stream.len() as u64);
        prop_assert!(framer.waiting().is_empty());
    }
}

#[test]
fn a_stream_that_comes_byte_by_byte_gives_the_same_messages() {
    let sent = conversation(7, 20);
    let mut framer = Framer::default();
    let mut got = Vec::new();
    for byte in sent.concat() {
        framer.push(&[byte]);
        got.extend(pop_all(&mut framer));
    }
    assert_eq!(got, sent);
}

fn refusal(bytes: &[u8]) -> FrameError {
    let mut framer = Framer::new(1 << 20);
    framer.push(bytes);
    let refused = framer.pop().unwrap_err();
    // The stream stays out of step.
    assert_eq!(framer.pop().unwrap_err(), refused);
    refused
}

#[test]
fn what_is_no_llrp_is_named() {
    let tls_alert = [0x15, 3, 3, 0, 2, 2, 40];
    let seen: Vec<String> = [
        &b"HTTP/1.1 400 Bad Request\r\n"[..],
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"H",
        b"login: ",
        &tls_alert,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff\xfb\x01\xff\xfb\x03",
        b"\x0c\x3f\0\0\0\x20\0\0\0\0",
        b"\x04\x3f\0\0\0\x09\0\0\0\0",
        b"\x04\x3f\x7f\xff\xff\xff\0\0\0\0",
    ]
    .iter()
    .map(|bytes| refusal(bytes).to_string())
    .collect();
    insta::assert_snapshot!(seen.join("\n"), @r"
    this is no LLRP but HTTP: `HTTP/1.1 400 Bad`; is it the right port? (LLRP has 5084)
    this is no LLRP but SSH: `SSH-2.0-OpenSSH_`; is it the right port? (LLRP has 5084)
    this is no LLRP but text: `H`; is it the right port? (LLRP has 5084)
    this is no LLRP but text: `login: `; is it the right port? (LLRP has 5084)
    this is no LLRP but TLS (LLRP over TLS has port 5085): 15030300020228; is it the right port? (LLRP has 5084)
    this is no LLRP but TLS (LLRP over TLS has port 5085): 1603010200010001fc0303; is it the right port? (LLRP has 5084)
    this is no LLRP but something else: fffb01fffb03; is it the right port? (LLRP has 5084)
    LLRP version 3 in READER_EVENT_NOTIFICATION (message type 63); known are 1 (LLRP 1.0.1) and 2 (1.1)
    READER_EVENT_NOTIFICATION (message type 63) says it is 9 bytes long; its header alone has 10
    READER_EVENT_NOTIFICATION (message type 63) says it is 2147483647 bytes long; the limit is 1048576
    ");
}

#[test]
fn an_announced_length_takes_no_memory() {
    let mut framer = Framer::new(u32::MAX);
    framer.push(b"\x04\x3d\xff\xff\xff\xff\0\0\0\0");
    for _ in 0..100 {
        framer.push(&[0; 100]);
        assert_eq!(framer.pop(), Ok(None));
    }
    assert_eq!(framer.waiting().len(), 10_010);
}

#[test]
fn a_file_goes_on_after_a_message_of_another_version() {
    let good = commands::keepalive().encode(Version::V1_0_1, 1).unwrap();
    let mut other = commands::delete_rospec(3)
        .encode(Version::V1_0_1, 2)
        .unwrap();
    other[0] = 3 << 2;
    let mut framer = Framer::default();
    framer.push(&other[..12]);
    let refused = framer.pop().unwrap_err();
    assert!(matches!(
        refused,
        FrameError::Version {
            version: 3,
            length: 14,
            ..
        }
    ));
    assert!(framer.skip_refused(&refused));
    assert_eq!(framer.left_to_skip(), 2);
    framer.push(&[&other[12..], &good].concat());
    assert_eq!(pop_all(&mut framer), [good]);
    assert_eq!(framer.offset(), 24);
}
