//! Gates and doors: what turnstiles, code readers and terminals outside the box tell of who comes
//! and goes. A token is all that is known of anybody here: whatever else a terminal sends is left
//! out before anything is kept.

use tokio::sync::{mpsc, watch};

use crate::link::outlet::{Gone, Outlet, Readings};
use crate::link::stopped;
use crate::link::subscriber::Heard;
use crate::observation::SourceState;
use crate::wire::encode;
use crate::wire::message;

/// How a source's messages are read.
pub type Read = fn(&[u8]) -> Result<Vec<u8>, String>;

/// A gate's event as recordings hold it, of what was sent; fields that are none of an event's are
/// left out. The error never holds what was sent: it may be a token.
pub fn event(sent: &[u8]) -> Result<Vec<u8>, String> {
    message::gate(sent).map(|event| encode::gate_event(&event))
}

/// The same of a cooler's door: `{"open": true}`, or one bare word.
pub fn door(sent: &[u8]) -> Result<Vec<u8>, String> {
    let open = match sent.trim_ascii() {
        b"true" | b"open" | b"\"open\"" | b"OPEN" | b"ON" | b"1" => true,
        b"false" | b"closed" | b"\"closed\"" | b"CLOSED" | b"OFF" | b"0" => false,
        other => message::door(other)?,
    };
    Ok(encode::door(open))
}

/// Listens to a gate or door behind MQTT until told to stop.
pub async fn run(
    topic: String,
    read: Read,
    mut heard: mpsc::Receiver<Heard>,
    mut outlet: Outlet,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let heard = tokio::select! {
            heard = heard.recv() => heard,
            () = stopped(&mut stop) => return,
        };
        let Some(heard) = heard else { return };
        if on(&topic, read, heard, &mut outlet).await.is_err() {
            return;
        }
    }
}

async fn on(topic: &str, read: Read, heard: Heard, outlet: &mut Outlet) -> Result<(), Gone> {
    match heard {
        Heard::Connected => outlet.state(SourceState::Online, "").await,
        Heard::Message {
            arrived_at,
            payload,
        } => match read(&payload) {
            Ok(event) => {
                outlet.state(SourceState::Online, "").await?;
                outlet.readings(Readings::one(arrived_at, event)).await
            }
            Err(why) => {
                let reason = format!("on `{topic}`: {why}");
                outlet.state(SourceState::Degraded, &reason).await?;
                outlet.lose(1, "a message that is no event")
            }
        },
        Heard::Lost(lost) => outlet.lose(lost, "messages came faster than they were read"),
        Heard::Disconnected(why) => {
            let why = format!("no broker to hear `{topic}` from: {why}");
            outlet.state(SourceState::Offline, &why).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(read: Read, sent: &str) -> Result<String, String> {
        read(sent.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn only_what_an_event_has_is_kept() {
        let sent = r#"{"kind": "admitted", "token": "q-1", "face": "iVBORw0", "name": "Ann"}"#;
        let kept = r#"{"kind":"admitted","token":"q-1"}"#;
        assert_eq!(text(event, sent).as_deref(), Ok(kept));
        let kept = r#"{"kind":"presented","token":"q-1"}"#;
        let sent = r#"{"token": "q-1", "kind": "presented"}"#;
        assert_eq!(text(event, sent).as_deref(), Ok(kept));
    }

    #[test]
    fn no_refusal_tells_a_token() {
        for sent in [
            r#"{"kind": "admitted", "token": 4711}"#,
            r#"{"kind": "sold", "token": "secret-4711"}"#,
            r#"{"kind": "admitted", "token": "secret-4711", "party": 0}"#,
            r#"{"kind": "admitted", "token": "secret-4711""#,
            r#"{"kind": "admitted", "token": ""}"#,
            r#""secret-4711""#,
            "[]",
            "",
        ] {
            let why = text(event, sent).unwrap_err();
            assert!(!why.contains("4711"), "{sent}: {why}");
        }
        let long = format!(r#"{{"kind": "presented", "token": "{}"}}"#, "x".repeat(300));
        assert!(text(event, &long).is_err());
    }

    #[test]
    fn doors_say_it_in_many_ways() {
        for (sent, open) in [
            ("open", true),
            ("{\"open\": false}", false),
            (" true\n", true),
            ("OFF", false),
        ] {
            let expected = format!("{{\"open\":{open}}}");
            assert_eq!(text(door, sent), Ok(expected), "{sent}");
        }
        assert!(door(b"ajar").is_err());
    }
}
