//! `basketd check`: reads everything that `run` would read and connects to nothing.

use std::collections::BTreeMap;
use std::path::Path;

use super::load::{Problems, Survey, survey};
use crate::store::{
    CameraSource, DoorSource, GateSource, Link, Problem, ScaleSource, Store, StoreFile, Target,
    View,
};
use crate::vision::{Backend, Choice, Detector, Manifest};

/// Prints a summary of a store file; every problem found is an error.
pub fn run(path: &Path) -> Result<(), Problems> {
    super::print(&check(path)?);
    Ok(())
}

/// The summary that is printed where there is no problem.
pub fn check(path: &Path) -> Result<String, Problems> {
    let survey = survey(path)?;
    let file = path.display().to_string();
    let mut models = BTreeMap::new();
    let links = survey.links.iter();
    let broken = links.flat_map(|link| broken(link, &survey, &file, &mut models));
    let mut problems: Vec<Problem> = broken.chain(survey.problems.clone()).collect();
    let own = |problem: &Problem| problem.file != file;
    problems.sort_by(|a, b| (own(a), a).cmp(&(own(b), b)));
    match &survey.file {
        Some(whole) if problems.is_empty() => {
            Ok(summary(&whole.store, &survey.sha256) + &notes(whole))
        }
        _ => Err(Problems(problems)),
    }
}

/// What is wrong with something that the store file refers to. `models` keeps what was found of
/// models that several cameras have.
fn broken(
    link: &Link,
    survey: &Survey,
    file: &str,
    models: &mut BTreeMap<String, Vec<String>>,
) -> Vec<Problem> {
    let missing = |path: &str| {
        let at = survey.folder.join(path);
        let found = at.is_file();
        (!found).then(|| format!("no file {}", at.display()))
    };
    let what: Vec<String> = match &link.to {
        Target::Model { camera, name } => {
            let found = models.entry(name.clone());
            let found = found.or_insert_with(|| wrong_with_model(&survey.models, name));
            let of = |what: &String| format!("camera `{camera}`, model `{name}`: {what}");
            found.iter().map(of).collect()
        }
        // A camera plays folders of pictures, too.
        Target::File { path } if survey.folder.join(path).is_dir() => Vec::new(),
        Target::File { path } => missing(path).into_iter().collect(),
        Target::Secret { path } if credential(path) => Vec::new(),
        Target::Secret { path } => missing(path)
            .map(|what| format!("{what}, and no systemd credential `{path}`"))
            .into_iter()
            .collect(),
    };
    let problem = |what| Problem {
        file: file.to_owned(),
        place: link.place,
        what,
    };
    what.into_iter().map(problem).collect()
}

/// A model is read, loaded and run once: shapes that its family does not have show there.
fn wrong_with_model(folder: &Path, name: &str) -> Vec<String> {
    let manifest = match Manifest::load(folder, name) {
        Ok(manifest) => manifest,
        Err(error) => return error.problems,
    };
    let backend = match Choice::from_env().and_then(Backend::choose) {
        Ok(backend) => backend,
        Err(error) => return vec![error.to_string()],
    };
    let refused = Detector::load(&manifest, backend).err();
    let text = refused.map(|error| error.to_string());
    let itself = format!("model `{name}`: ");
    let bare = text.map(|text| {
        text.strip_prefix(&itself)
            .map_or(text.clone(), str::to_owned)
    });
    bare.into_iter().collect()
}

/// Whether systemd has handed over a credential of this name.
fn credential(name: &str) -> bool {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY");
    folder.is_some_and(|folder| Path::new(&folder).join(name).is_file())
}

fn summary(store: &Store, sha256: &str) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<10} {value}"));
    line("store", format!("{} ({})", store.id, store.name));
    line(
        "place",
        format!("{}, {}", store.timezone, store.currency.code),
    );
    line("zones", ids(store.zones.iter().map(|zone| &zone.id)));
    line("gates", ids(store.gates.iter().map(|gate| &gate.id)));
    line(
        "gondolas",
        ids(store.gondolas.iter().map(|gondola| &gondola.id)),
    );
    let facings: usize = store.shelves.iter().map(|shelf| shelf.facings.len()).sum();
    line("shelves", store.shelves.len().to_string());
    line("facings", facings.to_string());
    line("scales", store.scales.len().to_string());
    line(
        "readers",
        ids(store.readers.iter().map(|reader| &reader.id)),
    );
    line("antennas", store.antennas.len().to_string());
    let floor = store
        .cameras
        .iter()
        .filter(|camera| matches!(camera.view, View::Floor { .. }));
    let floor = floor.count();
    let shelf = store.cameras.len() - floor;
    line(
        "cameras",
        format!("{floor} on the floor, {shelf} on shelves"),
    );
    let mut models: Vec<&String> = store
        .cameras
        .iter()
        .filter_map(|c| c.model.as_ref())
        .collect();
    models.sort();
    models.dedup();
    line("models", ids(models.into_iter()));
    line("products", products(store));
    line("sha256", sha256.to_owned());
    lines.join("\n")
}

/// What is right and will not do what somebody may expect of it, a line each.
fn notes(file: &StoreFile) -> String {
    let StoreFile { store, settings } = file;
    let mut notes = Vec::new();
    let cameras = store.cameras.iter();
    for camera in cameras.filter(|c| c.source != CameraSource::None && c.model.is_none()) {
        notes.push(format!(
            "camera `{}` has no `model`: nothing is seen by it",
            camera.id
        ));
    }
    for (gate, live) in store.gates.iter().zip(&settings.live.gates) {
        if gate.source == GateSource::Http && live.secret_file.is_none() {
            notes.push(format!(
                "gate `{}` has no `secret_file`: nobody may call it",
                gate.id
            ));
        }
    }
    let is_mqtt = |scale: &ScaleSource| matches!(scale, ScaleSource::Mqtt { .. });
    let listens = store.scales.iter().any(|scale| is_mqtt(&scale.source))
        || store
            .gates
            .iter()
            .any(|gate| matches!(gate.source, GateSource::Mqtt { .. }))
        || store
            .gondolas
            .iter()
            .any(|one| one.door != DoorSource::None);
    if listens && settings.mqtt.is_none() {
        notes.push("sensors are behind `mqtt:` topics, and there is no [mqtt]".to_owned());
    }
    notes
        .iter()
        .map(|note| format!("\nnote       {note}"))
        .collect()
}

/// How many, and which where few.
fn ids<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let ids: Vec<&str> = ids.map(String::as_str).collect();
    match ids.len() {
        1..=12 => format!("{}: {}", ids.len(), ids.join(", ")),
        count => count.to_string(),
    }
}

fn products(store: &Store) -> String {
    let weighed = store.catalog.values().filter(|one| one.weight_g.is_some());
    let listed = match store.tags.len() {
        0 => String::new(),
        tags => format!(", {tags} tags listed"),
    };
    format!(
        "{}, {} with a weight{listed}",
        store.catalog.len(),
        weighed.count()
    )
}
