//! `basketd track`: boxes of one camera in MOTChallenge text into tracks, in the same format on
//! standard output. The file is known to its end, so that tracks are linked over gaps, smoothed and
//! filled in; `--online` gives what was known at each frame (but for the scale of the scores).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use crate::tracking::image::{ImageTracking, Seen, Settings, Tracked};
use crate::units::BBox;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lines of `frame,id,x,y,width,height,score`, parted by commas or blanks; further columns and
    /// the id are ignored. Scores of a file that leaves 0 to 1 are taken for per cent, or ranked.
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
    /// Gives each frame's tracks as they stood then: nothing linked or smoothed, no gap
    /// filled.
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
    // Some editors begin a file with a byte order mark.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (i, line) in text.split(|c| *c == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (frame, seen) = box_of(line).with_context(|| format!("line {}", i + 1))?;
        frames.entry(frame).or_default().push(seen);
    }
    calibrate(&mut frames);
    Ok(frames)
}

/// Brings all scores to 0 to 1. A file with others gives per cent (none below 0, the greatest above
/// 20) or the margins of a classifier, whose scale nobody knows: a margin becomes the share of the
/// file's boxes with no greater one.
fn calibrate(frames: &mut BTreeMap<u32, Vec<Seen>>) {
    let scores = frames.values().flatten().map(|b| b.score);
    let mut given: Vec<f64> = scores.filter(|s| *s != NO_SCORE).collect();
    given.sort_unstable_by(f64::total_cmp);
    let (least, most) = match (given.first(), given.last()) {
        (Some(least), Some(most)) => (*least, *most),
        _ => (0.0, 1.0),
    };
    let calibrated = |score: f64| match score {
        // MOTChallenge writes -1 where a detector gives no score.
        NO_SCORE => 1.0,
        s if least >= 0.0 && most <= 1.0 => s,
        s if least >= 0.0 && most > 20.0 && most <= 100.0 => s / 100.0,
        s => given.partition_point(|other| *other <= s) as f64 / given.len() as f64,
    };
    for b in frames.values_mut().flatten() {
        b.score = calibrated(b.score);
    }
}

const NO_SCORE: f64 = -1.0;

fn box_of(line: &[u8]) -> anyhow::Result<(u32, Seen)> {
    let line = std::str::from_utf8(line).context("not UTF-8 text")?;
    let blanks = !line.contains(',');
    let apart = move |c: char| c == ',' || c == ';' || (blanks && c.is_ascii_whitespace());
    let cells = line.split(apart).map(str::trim);
    let mut cells = cells.filter(move |c| !(blanks && c.is_empty()));
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
        "frame {frame} is not a whole number of 0 or more"
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
            "line 1: frame -1 is not a whole number of 0 or more"
        );
        assert!(
            why("1,-1,0,0")
                .ends_with("width is missing; a line is frame,id,x,y,width,height,score")
        );
        assert!(why("1,-1,inf,0,1,1,1").starts_with("line 1: x `inf`"));
    }

    #[test]
    fn columns_may_be_parted_by_blanks_and_be_many_or_few() {
        let lines = [
            "3,-1,1,2,30,40,0.5",
            "3, 17, 1.0, 2.0, 30, 40, 0.5, 1, 1",
            "3 -1 1 2 30  40\t0.5 -1 -1 -1",
            "3;-1;1;2;30;40;0.5",
            "3.0,-1,1,2,30,40,5e-1,",
        ];
        for line in lines {
            let frames = parse(line.as_bytes()).unwrap();
            let bbox = BBox::new(1.0, 2.0, 31.0, 42.0);
            assert_eq!(frames[&3], [Seen { bbox, score: 0.5 }], "{line}");
        }
        assert_eq!(
            parse(b"\xef\xbb\xbf# made by hand\n\n").unwrap(),
            BTreeMap::new()
        );
    }

    #[test]
    fn scores_are_brought_to_one_scale() {
        let scores = |given: &[&str]| -> Vec<f64> {
            let lines: Vec<String> = given.iter().map(|s| format!("1,-1,0,0,9,9,{s}")).collect();
            let frames = parse(lines.join("\n").as_bytes()).unwrap();
            frames[&1].iter().map(|b| b.score).collect()
        };
        assert_eq!(scores(&["0.2", "1"]), [0.2, 1.0]);
        assert_eq!(scores(&["-1", "-1"]), [1.0, 1.0]);
        assert_eq!(scores(&["95", "7"]), [0.95, 0.07]);
        assert_eq!(
            scores(&["2.3", "-0.4", "0", "-1"]),
            [1.0, 1.0 / 3.0, 2.0 / 3.0, 1.0]
        );
    }

    #[test]
    fn the_order_of_lines_does_not_matter() {
        let text = "1,-1,0,0,9,20,1\n2,-1,1,0,9,20,1\n1,-1,50,0,9,20,0.9\n3,-1,2,0,9,20,1\n2,-1,51,0,9,20,1\n3,-1,52,0,9,20,1";
        let mut lines: Vec<&str> = text.lines().collect();
        let tracks = |lines: &[&str]| {
            let mut tracking = ImageTracking::new(Settings::default());
            for (frame, boxes) in parse(lines.join("\n").as_bytes()).unwrap() {
                tracking.step(frame, &boxes);
            }
            tracking.finish()
        };
        let forwards = tracks(&lines);
        assert_eq!(forwards.len(), 6);
        lines.reverse();
        assert_eq!(tracks(&lines), forwards);
    }

    #[test]
    fn dropped_frames_are_noticed() {
        let frames = parse(b"1,-1,0,0,9,9,1\r\n4,-1,0,0,9,9,1\n10,-1,0,0,9,9,-1,-1,-1,-1").unwrap();
        assert_eq!(stride(&frames), 3);
        assert_eq!(stride(&BTreeMap::new()), 1);
    }
}
