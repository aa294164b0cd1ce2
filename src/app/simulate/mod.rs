//! `basketd simulate`: a shop that does not exist, as a recording with its truth, or as devices at
//! their real protocols.

mod addresses;
mod picture;
mod serve;

use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;

use crate::sim;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Writes store.toml, catalog.csv, recording.mcap and truth.jsonl of a number of visits.
    Day(Day),
    /// Serves a recording's sensors as devices that the daemon can be connected to.
    Serve(serve::Args),
}

#[derive(Debug, clap::Args)]
struct Day {
    /// The folder that the four files are written to.
    #[arg(long)]
    out: PathBuf,
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 10, value_parser = parse_visits)]
    visits: usize,
    #[arg(long, value_enum, default_value = "all")]
    sensors: Sensors,
    #[arg(long, value_enum, default_value = "nominal")]
    noise: Noise,
    #[arg(long, value_enum, default_value = "hall")]
    shop: Shop,
    /// One small scene instead of a day, such as `two-at-one-shelf`; a wrong name lists all.
    #[arg(long)]
    scene: Option<String>,
    /// A shop after this store file instead: its floor, planogram, plates, antennas and floor
    /// cameras.
    #[arg(long)]
    store: Option<PathBuf>,
    /// Writes over files that are in the folder already.
    #[arg(long)]
    force: bool,
    /// People inside, on average.
    #[arg(long, default_value_t = 2.5, value_parser = parse_crowd)]
    crowd: f64,
}

fn parse_visits(text: &str) -> Result<usize, String> {
    let visits = text.parse().ok().filter(|n| (1..=100_000).contains(n));
    visits.ok_or_else(|| "a number of visits is 1 to 100000".to_owned())
}

fn parse_crowd(text: &str) -> Result<f64, String> {
    let crowd = text.parse().ok().filter(|n| (0.1..=30.0).contains(n));
    crowd.ok_or_else(|| "a crowd is 0.1 to 30 people".to_owned())
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sensors {
    All,
    Rfid,
    RfidFloor,
    ScaleFloor,
    Vision,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Noise {
    Clean,
    Nominal,
    Harsh,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shop {
    Kiosk,
    Hall,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let day = match &args.what {
        What::Day(day) => day,
        What::Serve(args) => return serve::run(args),
    };
    for file in ["store.toml", "catalog.csv", "recording.mcap", "truth.jsonl"] {
        let path = day.out.join(file);
        ensure!(
            day.force || !path.exists(),
            "{} exists already; give another folder, or --force to write over it",
            path.display()
        );
    }
    let name = day.out.display();
    std::fs::create_dir_all(&day.out).with_context(|| format!("failed to make {name}"))?;
    let given = match &day.store {
        Some(path) => Some(crate::app::load::load(path)?.store),
        None => None,
    };
    let simulated = sim::Day::new(options(day, given))?;
    write(day, "store.toml", &simulated.store)?;
    write(day, "catalog.csv", &simulated.catalog)?;
    let path = day.out.join("recording.mcap");
    let place = || format!("failed to write {}", path.display());
    let file = std::fs::File::create(&path).with_context(place)?;
    let truth = simulated.run(BufWriter::new(file)).with_context(place)?;
    write(day, "truth.jsonl", &truth)
}

fn write(day: &Day, file: &str, text: &str) -> anyhow::Result<()> {
    let path = day.out.join(file);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn options(day: &Day, given: Option<crate::store::Store>) -> sim::Options {
    sim::Options {
        seed: day.seed,
        visits: day.visits,
        sensors: match day.sensors {
            Sensors::All => sim::Sensors::All,
            Sensors::Rfid => sim::Sensors::Rfid,
            Sensors::RfidFloor => sim::Sensors::RfidFloor,
            Sensors::ScaleFloor => sim::Sensors::ScaleFloor,
            Sensors::Vision => sim::Sensors::Vision,
        },
        noise: match day.noise {
            Noise::Clean => sim::Noise::Clean,
            Noise::Nominal => sim::Noise::Nominal,
            Noise::Harsh => sim::Noise::Harsh,
        },
        shop: match day.shop {
            Shop::Kiosk => sim::ShopKind::Kiosk,
            Shop::Hall => sim::ShopKind::Hall,
        },
        scene: day.scene.clone(),
        given,
        crowd: day.crowd,
    }
}
