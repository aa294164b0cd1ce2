//! `basketd probe`: what is there to be read. It finds LLRP readers on subnets, readers and scales on
//! USB, cameras on the box and on the network; tells what they are; reads for some seconds; and
//! prints the lines of a store file to paste.

mod camera;
mod heard;
mod llrp;
mod subnet;
mod usb;

use std::path::PathBuf;
use std::time::Duration;

use self::subnet::Subnet;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A subnet on which LLRP readers are looked for, such as 10.0.4.0/24; again for more.
    #[arg(long, value_parser = Subnet::parse)]
    subnet: Vec<Subnet>,
    /// An LLRP reader by name or address, with a port where it is not 5084.
    #[arg(long)]
    reader: Vec<String>,
    /// A camera on the network: an rtsp:// or http:// address.
    #[arg(long)]
    camera: Vec<String>,
    /// The user that cameras ask for.
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// A file whose first line is their password.
    #[arg(long, requires = "username")]
    password_file: Option<PathBuf>,
    /// Reads tags, weights and pictures, and does not only ask what is there. What was configured in a
    /// reader is deleted; one that another client holds says so and is left alone.
    #[arg(long)]
    read: bool,
    /// For how long, seconds.
    #[arg(long, default_value_t = 4, requires = "read", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// The folder that pictures are written to, as PNG.
    #[arg(long, default_value = ".", requires = "read")]
    pictures: PathBuf,
    /// Leaves out what is plugged into the box.
    #[arg(long)]
    network_only: bool,
}

/// How something is read.
struct How {
    read: bool,
    time: Duration,
    pictures: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let how = How {
        read: args.read,
        time: Duration::from_secs(args.seconds),
        pictures: args.pictures.clone(),
    };
    let login = login(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        llrp::probe(&args.subnet, &args.reader, &how).await?;
        if !args.network_only {
            usb::probe(&how).await;
            camera::plugged(&how).await;
        }
        for (n, address) in args.camera.iter().enumerate() {
            let name = format!("net{}", n + 1);
            camera::network(&name, address, login.clone(), &how).await?;
        }
        anyhow::Ok(())
    })?;
    runtime.shutdown_timeout(Duration::from_millis(500));
    Ok(())
}

fn login(args: &Args) -> anyhow::Result<Option<(String, crate::link::secret::Secret)>> {
    let (Some(username), Some(file)) = (&args.username, &args.password_file) else {
        return Ok(None);
    };
    let name = file.display().to_string();
    let password = crate::link::secret::password(std::path::Path::new(""), &name);
    let password = password.map_err(anyhow::Error::msg)?;
    Ok(Some((username.clone(), password)))
}

fn say(text: &str) {
    super::print(text);
}

/// Lines of a store file, set off so that they can be copied.
fn paste(lines: &str) {
    for line in lines.lines() {
        super::print(&format!("    {line}"));
    }
    super::print("");
}
