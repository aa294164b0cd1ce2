//! A device in real time over a stream: a socket, the far end of a USB gadget, a virtual machine's
//! serial port.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use super::Device;
use crate::clock::Monotonic;

/// How soon a device reacts.
const STEP: Duration = Duration::from_millis(2);

/// Runs until the stream ends or `go_on` says no. Reads of the stream must not wait for long: it is
/// non-blocking or has a read timeout.
pub fn serve(
    stream: &mut (impl Read + Write),
    device: &mut impl Device,
    mut go_on: impl FnMut() -> bool,
) -> io::Result<()> {
    let time = Monotonic::start();
    let mut buffer = [0; 1024];
    device.opened(0);
    while go_on() {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => device.receive(time.millis(), &buffer[..count]),
            Err(error) if is_nothing_yet(&error) => std::thread::sleep(STEP),
            Err(error) => return Err(error),
        }
        while let Some(message) = device.transmit(time.millis()) {
            write_all(stream, &message)?;
        }
        stream.flush()?;
    }
    Ok(())
}

fn is_nothing_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// A host that does not read makes the device wait.
fn write_all(stream: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if is_nothing_yet(&error) => std::thread::sleep(STEP),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
