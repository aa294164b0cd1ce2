//! A message: what is decoded comes back byte for byte, and can be told.

#![no_main]

use basketd::wire::llrp::{Message, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The length is put right, so that the fuzzer need not find it.
    let mut bytes = bytes.to_vec();
    if let (Some(length), Ok(whole)) = (bytes.get(2..6), u32::try_from(bytes.len())) {
        if length != whole.to_be_bytes() && bytes[0] & 1 == 0 {
            bytes[2..6].copy_from_slice(&whole.to_be_bytes());
        }
    }
    match Message::decode(&bytes) {
        Ok(message) => {
            assert_eq!(message.encode().expect("it was decoded"), bytes);
            let json = serde_json::to_string(&message.body).expect("JSON");
            let _: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            let _ = message.status().map(|status| status.to_string());
            for problem in check::problems(&message.body) {
                let _ = problem.to_string();
            }
        }
        Err(refused) => {
            assert!(refused.offset <= bytes.len());
            let _ = refused.to_string();
        }
    }
});
