//! Cameras on USB and on the board (Video4Linux, `linuxvideo`): Motion JPEG where the device has
//! it, else packed 4:2:2. A device that was pulled out is gone with its node; the supervisor opens
//! whatever takes its place.

use std::io::ErrorKind;
use std::path::Path;

use linuxvideo::format::{PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, CapabilityFlags, Device, Fract, VideoCaptureDevice};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::source::{Loss, Pixels, Source, Trouble, View, WAIT};
use super::{Config, PIXELS_MAX};
use crate::clock;
use crate::wire::jpeg;

/// In the order in which they are wanted.
const FORMATS: [PixelFormat; 3] = [PixelFormat::MJPG, PixelFormat::JPEG, PixelFormat::YUYV];

pub(super) struct V4l2 {
    stream: ReadStream,
    layout: Layout,
}

#[derive(Debug, Clone, Copy)]
enum Layout {
    Jpeg,
    Yuyv {
        stride: usize,
        width: usize,
        height: usize,
    },
}

impl V4l2 {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self, Trouble> {
        let device = Device::open(path).map_err(|error| trouble(&error))?;
        let capabilities = device.capabilities().map_err(|error| trouble(&error))?;
        let can = capabilities.device_capabilities();
        if !can.contains(CapabilityFlags::VIDEO_CAPTURE | CapabilityFlags::STREAMING) {
            return Err(Trouble::refused(format!(
                "this node of `{}` gives no pictures: try its others (v4l2-ctl --list-devices)",
                capabilities.card()
            )));
        }
        let wanted = choose(&device)?;
        let (width, height) = config.size;
        let capture = device
            .video_capture(PixFormat::new(width, height, wanted))
            .map_err(|error| trouble(&error))?;
        let layout = layout(&capture)?;
        let fps = config.fps().ceil() as u32;
        // Not every device can be asked for a rate; the cap holds anyway.
        if let Err(error) = capture.set_frame_interval(Fract::new(1, fps)) {
            tracing::debug!(%error, "{} keeps its own frame rate", path.display());
        }
        let stream = capture.into_stream().map_err(|error| trouble(&error))?;
        Ok(Self { stream, layout })
    }

    /// Waits a little; whether a buffer is filled.
    fn wait(&self) -> Result<bool, Trouble> {
        let mut fds = [PollFd::new(&self.stream, PollFlags::IN)];
        let time = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(WAIT.subsec_nanos()),
        };
        match poll(&mut fds, Some(&time)) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(trouble(&error.into())),
        }
        let [fd] = fds;
        if fd.revents().intersects(PollFlags::HUP | PollFlags::NVAL) {
            return Err(Trouble::unreachable(UNPLUGGED));
        }
        // An error is told by the dequeue.
        Ok(fd.revents().intersects(PollFlags::IN | PollFlags::ERR))
    }
}

impl Source for V4l2 {
    fn look(&mut self, eye: &mut dyn FnMut(View<'_>)) -> Result<Option<Loss>, Trouble> {
        if !self.wait()? {
            return Ok(None);
        }
        let layout = self.layout;
        let dequeued = self.stream.dequeue(|buffer| {
            if buffer.is_error() {
                return Ok(Some("the device marked a picture as spoilt".to_owned()));
            }
            Ok(show(layout, &buffer, eye).err())
        });
        let spoilt = dequeued.map_err(|error| trouble(&error))?;
        Ok(spoilt.map(|reason| Loss {
            pictures: 1,
            reason,
        }))
    }
}

fn show(layout: Layout, bytes: &[u8], eye: &mut dyn FnMut(View<'_>)) -> Result<(), String> {
    let captured_at = clock::wall();
    let fresh = true;
    match layout {
        Layout::Jpeg => {
            let picture = jpeg::check(bytes).map_err(|error| format!("it gave {error}"))?;
            let pixels = Pixels::Jpeg(&jpeg::with_tables(&picture, bytes));
            eye(View {
                captured_at,
                pixels,
                fresh,
            });
        }
        Layout::Yuyv {
            stride,
            width,
            height,
        } => {
            if bytes.len() < stride * height {
                let (found, needed) = (bytes.len(), stride * height);
                return Err(format!("it gave a picture of {found} bytes, not {needed}"));
            }
            let pixels = Pixels::Yuyv {
                bytes,
                stride,
                width,
                height,
            };
            eye(View {
                captured_at,
                pixels,
                fresh,
            });
        }
    }
    Ok(())
}

fn choose(device: &Device) -> Result<PixelFormat, Trouble> {
    let offered = device.formats(BufType::VIDEO_CAPTURE);
    let offered: Vec<_> = offered
        .filter_map(Result::ok)
        .map(|f| f.pixel_format())
        .collect();
    let found = FORMATS.iter().find(|format| offered.contains(format));
    found.copied().ok_or_else(|| {
        let names: Vec<_> = offered.iter().map(ToString::to_string).collect();
        Trouble::refused(format!(
            "it offers {}, and MJPG or YUYV is needed",
            names.join(", ")
        ))
    })
}

/// What the driver made of the wish: sizes are near, formats may be others.
fn layout(capture: &VideoCaptureDevice) -> Result<Layout, Trouble> {
    let format = capture.format();
    let (width, height) = (format.width() as usize, format.height() as usize);
    let pixels = u64::from(format.width()) * u64::from(format.height());
    if pixels == 0 || pixels > PIXELS_MAX {
        return Err(Trouble::refused(format!(
            "it gives pictures of {width} x {height}"
        )));
    }
    match format.pixel_format() {
        PixelFormat::MJPG | PixelFormat::JPEG => Ok(Layout::Jpeg),
        PixelFormat::YUYV => Ok(Layout::Yuyv {
            // Drivers that leave it out have no padding.
            stride: (format.bytes_per_line() as usize).max(width * 2),
            width,
            height,
        }),
        other => Err(Trouble::refused(format!(
            "it gives {other}, whatever is asked"
        ))),
    }
}

const UNPLUGGED: &str = "it was unplugged, or its bus hangs: look at the cable and at `dmesg`";

fn trouble(error: &std::io::Error) -> Trouble {
    match (Errno::from_io_error(error), error.kind()) {
        (Some(Errno::NOENT | Errno::NXIO), _) => Trouble::unreachable(
            "no such device: is it plugged in? (ls /dev/v4l/by-id has names that stay)",
        ),
        (Some(Errno::NODEV), _) => Trouble::unreachable(UNPLUGGED),
        (Some(Errno::BUSY), _) => {
            Trouble::unreachable("another program has it (fuser -v shows which)")
        }
        (_, ErrorKind::PermissionDenied) => Trouble::refused(
            "no permission: the daemon's user must be in the group `video` (SupplementaryGroups=video)",
        ),
        (Some(Errno::NOTTY), _) => Trouble::refused("no video device"),
        (Some(Errno::NOSPC), _) => {
            Trouble::refused("its USB bus has no room for this rate and size: set smaller ones")
        }
        _ => Trouble::broken(error.to_string()),
    }
}
