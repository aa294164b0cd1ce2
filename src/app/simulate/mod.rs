//! `basketd simulate`: a shop that does not exist, as a recording with its truth, or as devices at
//! their real protocols.

mod addresses;
mod picture;
mod serve;

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;

use crate::sim;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Writes store.toml, catalog.csv, recording.mcap, truth.jsonl, expected.jsonl and people.jsonl
    /// of a number of visits.
    Day(Day),
    /// Writes the files of one small scene of something hard, such as `two-at-one-shelf`, as `day`
    /// writes those of a day.
    Scene(Scene),
    /// Serves a recording's sensors as devices that the daemon can be connected to.
    Serve(serve::Args),
}

#[derive(Debug, clap::Args)]
struct Day {
    /// The folder that the files are written to.
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value_t = 10, value_parser = parse_visits)]
    visits: usize,
    /// People inside, on average.
    #[arg(long, default_value_t = 2.5, value_parser = parse_crowd)]
    crowd: f64,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, clap::Args)]
struct Scene {
    /// Its name; without one all are listed.
    name: Option<String>,
    /// Lists all scenes with what they show.
    #[arg(long)]
    list: bool,
    /// The folder that the files are written to.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, clap::Args)]
struct Shape {
    /// The same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, value_enum, default_value = "all")]
    sensors: Sensors,
    #[arg(long, value_enum, default_value = "nominal")]
    noise: Noise,
    #[arg(long, value_enum, default_value = "hall")]
    shop: Shop,
    /// A shop after this store file instead: its floor, planogram, plates, antennas and floor
    /// cameras.
    #[arg(long)]
    store: Option<PathBuf>,
    /// Writes over files that are in the folder already.
    #[arg(long)]
    force: bool,
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
    match &args.what {
        What::Day(day) => {
            let (visits, crowd) = (day.visits, day.crowd);
            simulate(sim::Story::Day { visits, crowd }, &day.shape, &day.out)
        }
        What::Scene(scene) => play(scene),
        What::Serve(args) => serve::run(args),
    }
}

fn play(scene: &Scene) -> anyhow::Result<()> {
    if scene.list {
        super::print(&sim::scene_list());
        return Ok(());
    }
    let Some(name) = &scene.name else {
        bail!("which scene? There are\n{}", sim::scene_list());
    };
    // A wrong name is told before a missing folder.
    ensure!(
        sim::scenes().any(|s| s.name == name),
        sim::Refused::Scene(name.clone())
    );
    let Some(out) = &scene.out else {
        bail!("where to? Give a folder with --out");
    };
    simulate(sim::Story::Scene(name.clone()), &scene.shape, out)
}

const FILES: [&str; 6] = [
    "store.toml",
    "catalog.csv",
    "recording.mcap",
    "truth.jsonl",
    "expected.jsonl",
    "people.jsonl",
];

fn simulate(story: sim::Story, shape: &Shape, out: &Path) -> anyhow::Result<()> {
    for file in FILES {
        let path = out.join(file);
        ensure!(
            shape.force || !path.exists(),
            "{} exists already; give another folder, or --force to write over it",
            path.display()
        );
    }
    let given = match &shape.store {
        Some(path) => Some(crate::app::load::load(path)?.store),
        None => None,
    };
    let simulated = sim::Day::new(options(story, shape, given))?;
    let name = out.display();
    std::fs::create_dir_all(out).with_context(|| format!("failed to make {name}"))?;
    write(out, "store.toml", &simulated.store)?;
    write(out, "catalog.csv", &simulated.catalog)?;
    let path = out.join("recording.mcap");
    let place = || format!("failed to write {}", path.display());
    let file = std::fs::File::create(&path).with_context(place)?;
    let outcome = simulated.run(BufWriter::new(file)).with_context(place)?;
    write(out, "truth.jsonl", &outcome.truth)?;
    write(out, "expected.jsonl", &outcome.expected)?;
    write(out, "people.jsonl", &outcome.people)
}

fn write(folder: &Path, file: &str, text: &str) -> anyhow::Result<()> {
    let path = folder.join(file);
    std::fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
}

fn options(story: sim::Story, shape: &Shape, given: Option<crate::store::Store>) -> sim::Options {
    sim::Options {
        seed: shape.seed,
        story,
        sensors: match shape.sensors {
            Sensors::All => sim::Sensors::All,
            Sensors::Rfid => sim::Sensors::Rfid,
            Sensors::RfidFloor => sim::Sensors::RfidFloor,
            Sensors::ScaleFloor => sim::Sensors::ScaleFloor,
            Sensors::Vision => sim::Sensors::Vision,
        },
        noise: match shape.noise {
            Noise::Clean => sim::Noise::Clean,
            Noise::Nominal => sim::Noise::Nominal,
            Noise::Harsh => sim::Noise::Harsh,
        },
        shop: match shape.shop {
            Shop::Kiosk => sim::ShopKind::Kiosk,
            Shop::Hall => sim::ShopKind::Hall,
        },
        given,
    }
}
