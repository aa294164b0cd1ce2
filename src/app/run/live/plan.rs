//! What supervisors are made of: the part of a store file that names live sensors. While it is the
//! same, they go on.

use std::path::PathBuf;

use crate::app::load::Loaded;
use crate::link::secret::{self, Secret};
use crate::store::{
    Camera, CameraSource, DoorSource, GateSource, Live as How, Mqtt, Reader, ReaderSource,
    ScaleSource,
};

/// What is read, and how: another one of these needs other supervisors.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) store: Sensors,
    pub(super) how: How,
    pub(super) mqtt: Option<Mqtt>,
    pub(super) folder: PathBuf,
    /// What the secrets' files hold: another password needs another login.
    pub(super) secrets: Vec<Result<Secret, String>>,
    pub(super) keep_frames: bool,
}

/// The part of a store that supervisors are made of.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sensors {
    pub(super) id: String,
    pub(super) readers: Vec<Reader>,
    pub(super) cameras: Vec<Camera>,
    pub(super) scales: Vec<(String, ScaleSource)>,
    pub(super) gates: Vec<(String, GateSource)>,
    pub(super) doors: Vec<(String, DoorSource)>,
}

impl Plan {
    pub(super) fn new(loaded: &Loaded, record: bool) -> Self {
        let store = &loaded.store;
        let scales = store.scales.iter();
        let gates = store.gates.iter();
        let doors = store.gondolas.iter();
        Self {
            store: Sensors {
                id: store.id.clone(),
                readers: store.readers.clone(),
                cameras: store.cameras.clone(),
                scales: scales.map(|s| (s.id.clone(), s.source.clone())).collect(),
                gates: gates.map(|g| (g.id.clone(), g.source.clone())).collect(),
                doors: doors.map(|g| (g.id.clone(), g.door.clone())).collect(),
            },
            how: loaded.settings.live.clone(),
            mqtt: loaded.settings.mqtt.clone(),
            folder: loaded.folder.clone(),
            secrets: secrets(loaded),
            keep_frames: record || loaded.settings.state.keep_frames,
        }
    }
}

impl Sensors {
    /// Those that are read live, by the names that states have.
    pub(super) fn read(&self) -> Vec<String> {
        let readers = self.readers.iter();
        let readers = readers.filter(|r| r.source != ReaderSource::None);
        let cameras = self.cameras.iter();
        let cameras = cameras.filter(|c| c.source != CameraSource::None);
        let scales = self.scales.iter().filter(|(_, s)| *s != ScaleSource::None);
        let gates = self.gates.iter().filter(|(_, g)| *g != GateSource::None);
        let doors = self.doors.iter().filter(|(_, d)| *d != DoorSource::None);
        readers
            .map(|reader| format!("rfid/{}", reader.id))
            .chain(cameras.map(|camera| format!("camera/{}", camera.id)))
            .chain(scales.map(|(id, _)| format!("scale/{id}")))
            .chain(gates.map(|(id, _)| format!("gate/{id}")))
            .chain(doors.map(|(id, _)| format!("door/{id}")))
            .collect()
    }
}

/// Of cameras and gates, in their order.
fn secrets(loaded: &Loaded) -> Vec<Result<Secret, String>> {
    let cameras = loaded.store.cameras.iter();
    let cameras = cameras.filter_map(|camera| Some(&camera.credentials.as_ref()?.password_file));
    let gates = loaded.settings.live.gates.iter();
    let gates = gates.filter_map(|gate| gate.secret_file.as_ref());
    let read = |name: &String| secret::password(&loaded.folder, name);
    cameras.chain(gates).map(read).collect()
}
