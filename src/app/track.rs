//! `basketd track`: boxes of one camera in MOTChallenge text into tracks, in the same format on
//! standard output. The file is known to its end, so that tracks are smoothed and short gaps
//! filled in; `--online` gives what was known at each frame.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use crate::tracking::image::{ImageTracking, Seen, Settings, Tracked};
use crate::units::BBox;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lines of `frame,id,x,y,width,height,score`; further columns and the id are ignored.
    detections: PathBuf,
    /// Frames a second; by default 30, less where the file names only every n-th frame.
    #[arg(long)]
    fps: Option<f64>,
    /// Boxes with this score or more are sure.
    #[arg(long, default_value_t = Settings::default().high)]
    high: f64,
    /// Boxes with a lower score are dropped; those below `--high` only continue tracks.
    #[arg(long, default_value_t = Settings::default().low)]
    low: f64,
    /// Boxes with this score or more begin tracks.
    #[arg(long, default_value_t = Settings::default().begin)]
    begin: f64,
    /// How long a lost track is looked for, seconds.
    #[arg(long, default_value_t = Settings::default().lost_s)]
    lost: f64,
    /// Gives each frame's tracks as they stood then: nothing smoothed, no gap filled.
    #[arg(long)]
    online: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let name = args.detections.display();
    let text = std::fs::read(&args.detections).with_context(|| format!("failed to read {name}"))?;
    let frames = parse(&text).with_context(|| format!("failed to read {name}"))?;
    for (option, value) in [
        ("--high", args.high),
        ("--low", args.low),
        ("--begin", args.begin),
    ] {
        ensure!(value.is_finite(), "{option} must be a number");
    }
    ensure!(args.lost >= 0.0, "--lost must be 0 s or more");
    if let Some(fps) = args.fps {
        ensure!((0.1..=1000.0).contains(&fps), "--fps must be 0.1 to 1000");
    }
    let out = std::io::stdout().lock();
    let mut out = std::io::BufWriter::new(out);
    for t in track(args, &frames) {
        let b = t.bbox;
        let line = writeln!(
            out,
            "{},{},{:.2},{:.2},{:.2},{:.2},{:.4},-1,-1,-1",
            t.frame,
            t.track,
            b.x0,
            b.y0,
            b.width(),
            b.height(),
            t.score
        );
        match line {
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            other => other?,
        }
    }
    out.flush().context("failed to write the tracks")
}

fn track(args: &Args, frames: &BTreeMap<u32, Vec<Seen>>) -> Vec<Tracked> {
    let Some((&first, _)) = frames.first_key_value() else {
        return Vec::new();
    };
    let stride = stride(frames);
    let mut tracking = ImageTracking::new(Settings {
        fps: args.fps.unwrap_or(30.0 / f64::from(stride)),
        high: args.high,
        low: args.low,
        begin: args.begin,
        lost_s: args.lost,
        ..Settings::default()
    });
    let mut tracked = Vec::new();
    for (frame, boxes) in frames {
        let now = tracking.step((frame - first) / stride, boxes);
        if args.online {
            tracked.extend(now);
        }
    }
    if !args.online {
        tracked = tracking.finish();
    }
    for t in &mut tracked {
        t.frame = first + t.frame * stride;
    }
    tracked
}

/// The common distance of the frames that the file names: more than 1 where frames were dropped.
fn stride(frames: &BTreeMap<u32, Vec<Seen>>) -> u32 {
    let gcd = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let gaps = frames.keys().zip(frames.keys().skip(1));
    gaps.map(|(a, b)| b - a).fold(0, gcd).max(1)
}

/// Boxes by frame.
fn parse(text: &[u8]) -> anyhow::Result<BTreeMap<u32, Vec<Seen>>> {
    let mut frames: BTreeMap<u32, Vec<Seen>> = BTreeMap::new();
    for (i, line) in text.split(|c| *c == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let (frame, seen) = box_of(line).with_context(|| format!("line {}", i + 1))?;
        frames.entry(frame).or_default().push(seen);
    }
    Ok(frames)
}

fn box_of(line: &[u8]) -> anyhow::Result<(u32, Seen)> {
    let line = std::str::from_utf8(line).context("not UTF-8 text")?;
    let mut cells = line.split(',').map(str::trim);
    let mut number = |name: &str| -> anyhow::Result<f64> {
        let Some(cell) = cells.next() else {
            bail!("{name} is missing; a line is frame,id,x,y,width,height,score");
        };
        let value: f64 = cell
            .parse()
            .with_context(|| format!("{name} `{cell}` is not a number"))?;
        ensure!(
            value.abs() <= 1e9,
            "{name} `{cell}` is not a number within a billion"
        );
        Ok(value)
    };
    let frame = number("frame")?;
    ensure!(
        frame >= 0.0 && frame.fract() == 0.0,
        "frame {frame} is not a whole number"
    );
    number("id")?;
    let (x, y) = (number("x")?, number("y")?);
    let (width, height) = (number("width")?, number("height")?);
    ensure!(
        width > 0.0 && height > 0.0,
        "a box of {width} x {height} has no area"
    );
    let score = number("score")?;
    let bbox = BBox::new(x, y, x + width, y + height);
    // MOTChallenge writes -1 where a detector gives no score.
    let score = if score == -1.0 { 1.0 } else { score };
    Ok((frame as u32, Seen { bbox, score }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_lines_are_named() {
        let why = |text: &str| format!("{:#}", parse(text.as_bytes()).unwrap_err());
        assert_eq!(
            why("1,-1,0,0,10,10,0.9\n\n2,-1,0,0,NaN,10,0.9\n"),
            "line 3: width `NaN` is not a number within a billion"
        );
        assert_eq!(
            why("1,-1,0,0,10,ten,0.9"),
            "line 1: height `ten` is not a number: invalid float literal"
        );
        assert_eq!(
            why("1,-1,0,0,0,10,0.9"),
            "line 1: a box of 0 x 10 has no area"
        );
        assert_eq!(
            why("-1,-1,0,0,5,10,0.9"),
            "line 1: frame -1 is not a whole number"
        );
        assert!(
            why("1,-1,0,0")
                .ends_with("width is missing; a line is frame,id,x,y,width,height,score")
        );
        assert!(why("1,-1,inf,0,1,1,1").starts_with("line 1: x `inf`"));
    }

    #[test]
    fn dropped_frames_are_noticed() {
        let frames = parse(b"1,-1,0,0,9,9,1\r\n4,-1,0,0,9,9,1\n10,-1,0,0,9,9,-1,-1,-1,-1").unwrap();
        assert_eq!(stride(&frames), 3);
        assert_eq!(stride(&BTreeMap::new()), 1);
    }
}
