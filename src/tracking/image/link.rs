//! Links the tracks of a whole file: where one was lost and another begins later, the two may be
//! one person who was hidden. Both sides are heard: the state at the end of the one is carried
//! forward over the gap and compared with the state at the beginning of the other, which is
//! filtered backwards from all that came after. The best set of links is an assignment of ends to
//! beginnings (Huang, Wu and Nevatia, ECCV 2008), each worth its log likelihood above that of a
//! newcomer.

use super::Settings;
use super::assign::{Edge, assign};
use super::axis::Axis;
use super::track::{Track, measured, size_of};

/// Log density at which a link is as likely as a newcomer; space in box sizes, time in ticks.
const NEWCOMER: f64 = 8.0;
/// How far a person's size in the image wanders over a gap, a share of it a root of ticks: less
/// than a filter of constant growth would have it.
const SIZE_SHARE: f64 = 0.03;
/// Boxes a track needs for its end and its beginning to say where it goes and comes from.
const LEAST_BOXES: usize = 5;

/// Frame and state at an end of a track.
struct End {
    frame: u32,
    state: [Axis; 4],
}

struct Ends {
    track: usize,
    first: End,
    last: End,
}

/// Joins tracks that are one person; the joined have the identity of the earliest.
pub(super) fn link(tracks: Vec<Track>, settings: &Settings) -> Vec<Track> {
    let per_frame = 30.0 / settings.fps;
    let long = tracks.iter().enumerate();
    let long = long.filter(|(_, t)| t.seen.len() >= LEAST_BOXES);
    let mut ends: Vec<Ends> = long.filter_map(|(i, t)| ends(i, t, per_frame)).collect();
    ends.sort_by_key(|e| (e.first.frame, e.track));
    let mut edges = Vec::new();
    for a in &ends {
        let from = ends.partition_point(|b| b.first.frame <= a.last.frame);
        for b in ends.iter().skip(from) {
            let ticks = f64::from(b.first.frame - a.last.frame) * per_frame;
            if ticks > settings.link_s * 30.0 {
                break;
            }
            let gain = fit(&a.last.state, &b.first.state, ticks) - NEWCOMER;
            if gain > 0.0 {
                edges.push(Edge {
                    row: a.track,
                    col: b.track,
                    gain,
                });
            }
        }
    }
    let next = assign(tracks.len(), tracks.len(), &edges);
    join(tracks, &next)
}

fn ends(track: usize, t: &Track, per_frame: f64) -> Option<Ends> {
    let mut first = filtered(&mut t.seen.iter().rev(), per_frame)?;
    first.state = first.state.map(Axis::turned);
    let last = filtered(&mut t.seen.iter(), per_frame)?;
    Some(Ends { track, first, last })
}

/// The state after all of the boxes, which come in order of time or against it.
fn filtered(seen: &mut dyn Iterator<Item = &(u32, super::Seen)>, per_frame: f64) -> Option<End> {
    let (mut frame, b) = *seen.next()?;
    let z = measured(b.bbox);
    let mut state = [0, 1, 2, 3].map(|i| Axis::new(z[i], size_of(&z, i)));
    for (f, b) in seen {
        let ticks = f64::from(f.abs_diff(frame)) * per_frame;
        let (sizes, z) = (state.map(|a| a.at), measured(b.bbox));
        for (i, axis) in state.iter_mut().enumerate() {
            axis.predict(ticks, size_of(&sizes, i));
            axis.update(z[i], size_of(&z, i));
        }
        frame = *f;
    }
    Some(End { frame, state })
}

/// Log density of the later state given the earlier, without the constant of the normal density.
fn fit(earlier: &[Axis; 4], later: &[Axis; 4], ticks: f64) -> f64 {
    let sizes = earlier.map(|a| a.at);
    let axes = earlier.iter().zip(later).enumerate();
    axes.map(|(i, (a, b))| {
        let size = size_of(&sizes, i);
        if i < 2 {
            place_fit(*a, b, ticks, size)
        } else {
            size_fit(a, b, ticks, size)
        }
    })
    .sum()
}

/// A centre and its speed, carried over the gap.
fn place_fit(mut a: Axis, b: &Axis, ticks: f64, size: f64) -> f64 {
    a.predict(ticks, size);
    let (var, cross) = (a.var + b.var, a.cross + b.cross);
    let speed_var = a.speed_var + b.speed_var;
    let det = var * speed_var - cross * cross;
    let (at, speed) = (b.at - a.at, b.speed - a.speed);
    let square = at * at * speed_var - 2.0 * at * speed * cross + speed * speed * var;
    -0.5 * (square / det + libm::log(det / (size * size * size * size)))
}

/// A width or height, which stays what it is.
fn size_fit(a: &Axis, b: &Axis, ticks: f64, size: f64) -> f64 {
    let wander = SIZE_SHARE * size;
    let var = a.var + b.var + wander * wander * ticks;
    let off = b.at - a.at;
    -0.5 * (off * off / var + libm::log(var / (size * size)))
}

/// Follows the links from each track that has none before it.
fn join(tracks: Vec<Track>, next: &[Option<usize>]) -> Vec<Track> {
    let mut heads = vec![true; tracks.len()];
    for to in next.iter().flatten() {
        if let Some(head) = heads.get_mut(*to) {
            *head = false;
        }
    }
    let mut parts: Vec<Option<Track>> = tracks.into_iter().map(Some).collect();
    let mut joined = Vec::new();
    for (i, _) in heads.iter().enumerate().filter(|(_, head)| **head) {
        let Some(mut whole) = parts.get_mut(i).and_then(Option::take) else {
            continue;
        };
        let mut at = i;
        while let Some(to) = next.get(at).copied().flatten() {
            if let Some(part) = parts.get_mut(to).and_then(Option::take) {
                whole.seen.extend(part.seen);
            }
            at = to;
        }
        joined.push(whole);
    }
    joined
}
