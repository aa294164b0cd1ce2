//! Cameras: listed, and a picture of each written as PNG.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::heard::Heard;
use super::{How, paste, say};
use crate::camera::{self, Address, Config, Frame, Picture};
use crate::link::secret::Secret;
use crate::store::CameraSource;

/// Those that are plugged into the box.
pub(super) async fn plugged(how: &How) {
    let cameras = camera::plugged();
    if cameras.is_empty() {
        say(
            "V4L2: no camera gives pictures, or none may be opened (is the user in the group video?)\n",
        );
    }
    for (n, found) in cameras.iter().enumerate() {
        let device = found.device.display().to_string();
        say(&format!("camera {device}: {}", found.card));
        for (format, size) in &found.formats {
            let size = size.map_or(String::new(), |(w, h)| format!(", up to {w} x {h}"));
            say(&format!("  {format}{size}"));
        }
        let address = Address::V4l2 {
            device: found.device.clone(),
        };
        let name = format!("cam{}", n + 1);
        let size = picture(&name, address, None, how).await;
        paste(&lines(&name, &format!("v4l2:{device}"), size, false));
    }
}

/// One on the network.
pub(super) async fn network(
    name: &str,
    url: &str,
    login: Option<(String, Secret)>,
    how: &How,
) -> anyhow::Result<()> {
    let address = match CameraSource::parse(url) {
        Some(CameraSource::Rtsp { url }) => Address::Rtsp { url },
        Some(CameraSource::Http { url }) => Address::Http { url },
        // What was given may hold a password: it is not told.
        _ => anyhow::bail!(
            "`--camera`: expected rtsp://…, http://… or https://… without user and password, which \
             `--username` and `--password-file` give"
        ),
    };
    say(&format!("camera {url}"));
    let has_login = login.is_some();
    let size = picture(name, address, login, how).await;
    paste(&lines(name, url, size, has_login));
    Ok(())
}

/// Waits for a picture and writes it; gives its size.
async fn picture(
    name: &str,
    address: Address,
    login: Option<(String, Secret)>,
    how: &How,
) -> Option<(u32, u32)> {
    if !how.read {
        return None;
    }
    let (tell, mut frames) = mpsc::channel(1);
    let take = move |frame: Frame| {
        // One is enough.
        tell.try_send(frame.picture).ok();
    };
    let heard = Heard::default();
    let (stop, stopped) = watch::channel(false);
    let mut config = Config::new(name, address);
    config.login = login;
    let running = tokio::spawn(camera::run(config, Arc::new(take), heard.outlet(), stopped));
    let patience = how.time.max(std::time::Duration::from_secs(10));
    let frame = tokio::time::timeout(patience, frames.recv()).await;
    stop.send_replace(true);
    running.await.ok();
    let Ok(Some(frame)) = frame else {
        let all = heard.so_far();
        let why = all.trouble().unwrap_or("no picture came");
        say(&format!("  {why}"));
        return None;
    };
    match write(&how.pictures.join(format!("{name}.png")), frame) {
        Ok((path, size)) => {
            say(&format!(
                "  {} x {}, written to {}",
                size.0,
                size.1,
                path.display()
            ));
            Some(size)
        }
        Err(why) => {
            say(&format!("  {why}"));
            None
        }
    }
}

fn write(path: &Path, picture: Picture) -> Result<(PathBuf, (u32, u32)), String> {
    let picture = match picture {
        Picture::Rgb(picture) => picture,
        Picture::Jpeg(bytes) => image::load_from_memory(&bytes)
            .map_err(|error| format!("a picture that cannot be read: {error}"))?
            .into_rgb8(),
    };
    let saved = picture.save_with_format(path, image::ImageFormat::Png);
    saved.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((path.to_owned(), picture.dimensions()))
}

fn lines(name: &str, source: &str, size: Option<(u32, u32)>, login: bool) -> String {
    let (width, height) = size.map_or(("…".to_owned(), "…".to_owned()), |(w, h)| {
        (w.to_string(), h.to_string())
    });
    let login = if login {
        format!("\nusername = \"…\"\npassword_file = \"{name}.password\"")
    } else {
        String::new()
    };
    format!(
        "[[camera]]\nid = \"{name}\"\nsource = \"{source}\"{login}\nwidth = {width}\nheight = {height}\n\
         view = \"floor\"   # then `correspondences`; or \"shelf\" with `regions`"
    )
}
