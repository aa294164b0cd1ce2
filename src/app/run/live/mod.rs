//! The live sensors of a store file: one supervisor each, started, and started anew where another
//! store file names others. The supervisors know nothing of the store; here is where they learn what
//! to open and where what they tell goes.

mod cameras;
mod configs;
mod gates;
mod plan;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinHandle;

use self::gates::Taken;
use self::plan::Plan;
use super::given::{Given, Inlet, Topic};
use super::health::Health;
use crate::app::load::Loaded;
use crate::camera::{self, TakeFrame};
use crate::console::Call;
use crate::gate;
use crate::ids::CameraIx;
use crate::link::outlet::Outlet;
use crate::link::secret;
use crate::link::subscriber::Subscriber;
use crate::link::usb::UsbId;
use crate::observation::SourceState;
use crate::rfid;
use crate::scale;
use crate::store::{
    Camera, CameraLive, CameraSource, DoorSource, GateSource, Reader, ReaderLive, ReaderProtocol,
    ReaderSource, ScaleSource, Store,
};

/// The supervisors.
pub(super) struct Live {
    inlet: Inlet,
    health: Arc<Health>,
    /// Whoever answers gates' calls at present holds it.
    calls: Arc<Mutex<mpsc::Receiver<Call>>>,
    /// What was taken in of gates' calls, whoever answers them.
    taken: Taken,
    /// Frames are wanted, whatever the store file says.
    record: bool,
    /// Sensors that are read, by the names that states have; before the first store file those of
    /// which the engine knows that they were not well.
    read: Vec<String>,
    running: Option<Running>,
}

struct Running {
    plan: Plan,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// A supervisor that does not end within so long is left behind: it waits for a device.
const END: Duration = Duration::from_secs(3);

impl Live {
    /// `ill` are the sensors that the engine takes for away or ill.
    pub(super) fn new(
        inlet: Inlet,
        health: Arc<Health>,
        calls: mpsc::Receiver<Call>,
        record: bool,
        ill: Vec<String>,
    ) -> Self {
        Self {
            inlet,
            health,
            calls: Arc::new(Mutex::new(calls)),
            taken: Taken::default(),
            record,
            read: ill,
            running: None,
        }
    }

    /// Starts what the store file names; supervisors that run already go on where they would be the
    /// same. An error is the store file's, a model that cannot be loaded: then they go on, too.
    pub(super) async fn follow(&mut self, loaded: &Loaded) -> anyhow::Result<()> {
        let plan = Plan::new(loaded, self.record);
        if self.running.as_ref().is_some_and(|r| r.plan == plan) {
            return Ok(());
        }
        let store = Arc::new(loaded.store.clone());
        let eyes = self.eyes(&store, &loaded.models)?;
        self.stop().await;
        let read = plan.store.read();
        for source in std::mem::replace(&mut self.read, read.clone()) {
            if !read.contains(&source) {
                self.part_with(source).await;
            }
        }
        self.running = Some(self.start(plan, &store, eyes));
        Ok(())
    }

    /// What is read no longer is not away: nobody would ever say that it is back.
    async fn part_with(&self, source: String) {
        let inlet = self.inlet.clone();
        let parting = move || inlet.give(Given::Parted(source));
        // A sequencer that has gone has ended already.
        drop(tokio::task::spawn_blocking(parting).await);
    }

    /// Whether the store file names any live sensor.
    pub(super) fn reads_any(&self, loaded: &Loaded) -> bool {
        !Plan::new(loaded, self.record).store.read().is_empty()
    }

    /// Ends all supervisors.
    pub(super) async fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.stop.send_replace(true);
        let end = tokio::time::sleep(END);
        tokio::pin!(end);
        for mut task in running.tasks {
            tokio::select! {
                _ = &mut task => {}
                () = &mut end => task.abort(),
            }
        }
    }

    fn start(&self, plan: Plan, store: &Arc<Store>, eyes: Eyes) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut starting = Starting {
            plan: &plan,
            inlet: &self.inlet,
            stopped,
            tasks: Vec::new(),
            subscriber: Subscriber::default(),
        };
        starting.readers();
        starting.scales();
        starting.gates();
        self.cameras(&mut starting, store, &eyes);
        let http = starting.http_gates();
        let (inlet, calls) = (self.inlet.clone(), Arc::clone(&self.calls));
        let (taken, mut end) = (self.taken.clone(), starting.stopped.clone());
        starting.spawn(async move {
            let mut calls = calls.lock().await;
            tokio::select! {
                () = gates::answer(http, taken, inlet, &mut calls) => {}
                () = crate::link::stopped(&mut end) => {}
            }
        });
        starting.subscribe();
        let tasks = starting.tasks;
        Running { plan, stop, tasks }
    }

    /// The models of the live cameras.
    fn eyes(&self, store: &Arc<Store>, folder: &Path) -> anyhow::Result<Eyes> {
        let occupied: cameras::Occupied = store.cameras.iter().map(|_| Arc::default()).collect();
        let models = cameras::models(store, &occupied, folder, &self.inlet, &self.health)?;
        let models = models.map(Arc::new);
        Ok(Eyes { models, occupied })
    }

    /// A camera without a model is well and sees nothing.
    fn tell_blind(&self, store: &Store) {
        let live = store.cameras.iter();
        let live = live.filter(|camera| camera.source != CameraSource::None);
        let blind = live.filter(|camera| camera.model.is_none());
        let blind: Vec<&str> = blind.map(|camera| camera.id.as_str()).collect();
        let why = format!("no `model` looks at the pictures of {}", blind.join(", "));
        let told = (!blind.is_empty()).then_some(why);
        self.health.set("cameras", told);
    }

    fn cameras(&self, starting: &mut Starting<'_>, store: &Arc<Store>, eyes: &Eyes) {
        self.tell_blind(store);
        let plan = starting.plan;
        let all = plan.store.cameras.iter().zip(&plan.how.cameras);
        for (i, (camera, how)) in all.enumerate() {
            let ix = CameraIx(u16::try_from(i).unwrap_or(u16::MAX));
            let models = eyes.models.as_ref();
            let keep = plan.keep_frames;
            let frames = cameras::frames(store, ix, models, keep, &self.inlet, &self.health);
            starting.camera(camera, how, Arc::clone(&eyes.occupied[i]), frames);
        }
    }
}

/// What looks at the pictures.
struct Eyes {
    models: Option<Arc<crate::vision::Live>>,
    occupied: cameras::Occupied,
}

/// Supervisors while they are being started.
struct Starting<'a> {
    plan: &'a Plan,
    inlet: &'a Inlet,
    stopped: watch::Receiver<bool>,
    tasks: Vec<JoinHandle<()>>,
    subscriber: Subscriber,
}

impl Starting<'_> {
    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(tokio::spawn(task));
    }

    fn outlet(&self, topic: &str, schema: &str) -> Outlet {
        self.inlet.outlet(Topic::json(topic, schema))
    }

    /// A source that cannot be read, and why.
    fn cannot(&mut self, mut outlet: Outlet, why: String) {
        self.spawn(async move {
            outlet.state(SourceState::Offline, &why).await.ok();
        });
    }

    fn readers(&mut self) {
        let plan = self.plan;
        for (reader, how) in plan.store.readers.iter().zip(&plan.how.readers) {
            let outlet = self.outlet(&format!("/rfid/{}", reader.id), "basketd.TagRead");
            match &reader.source {
                ReaderSource::None => {}
                ReaderSource::Llrp { host, port } => {
                    let config = configs::llrp(reader, how, host, *port);
                    self.spawn(rfid::llrp::run(config, outlet, self.stopped.clone()));
                }
                ReaderSource::Usb { id, protocol } => {
                    self.usb_reader(reader, how, configs::usb(id), *protocol, outlet);
                }
            }
        }
    }

    fn usb_reader(
        &mut self,
        reader: &Reader,
        how: &ReaderLive,
        device: UsbId,
        protocol: ReaderProtocol,
        outlet: Outlet,
    ) {
        let name = format!("rfid {}", reader.id);
        match protocol {
            ReaderProtocol::ThingMagic => {
                let config = configs::thingmagic(reader, how);
                self.thread(name, move |stop| {
                    rfid::thingmagic::run(device, &config, outlet, &stop);
                });
            }
            ReaderProtocol::UhfReader18 => {
                let config = configs::uhfreader18(reader, how);
                self.thread(name, move |stop| {
                    rfid::uhfreader18::run(device, &config, outlet, &stop);
                });
            }
        }
    }

    /// A supervisor that waits in system calls, and ends soon after it is told to.
    fn thread(&mut self, name: String, work: impl FnOnce(watch::Receiver<bool>) + Send + 'static) {
        let stop = self.stopped.clone();
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let started = std::thread::Builder::new().name(name).spawn(move || {
            let _done = done;
            work(stop);
        });
        match started {
            Ok(_) => self.spawn(async move {
                // It is dropped, and nothing is sent.
                ended.await.ok();
            }),
            Err(error) => tracing::error!("a sensor has no thread: {error}"),
        }
    }

    fn scales(&mut self) {
        let plan = self.plan;
        for ((id, source), how) in plan.store.scales.iter().zip(&plan.how.scales) {
            let outlet = self.outlet(&format!("/scale/{id}"), "basketd.Weight");
            match source {
                ScaleSource::None => {}
                ScaleSource::Mqtt { topic } => {
                    let heard = self.subscriber.listen(topic);
                    let (topic, how, stop) = (topic.clone(), how.clone(), self.stopped.clone());
                    self.spawn(scale::mqtt::run(topic, how, heard, outlet, stop));
                }
                ScaleSource::Hid(device) => {
                    let device = configs::usb(device);
                    self.thread(format!("scale {id}"), move |stop| {
                        scale::hid::run(device, outlet, &stop);
                    });
                }
            }
        }
    }

    fn gates(&mut self) {
        let plan = self.plan;
        for (id, source) in &plan.store.gates {
            if let GateSource::Mqtt { topic } = source {
                let outlet = self.outlet(&format!("/gate/{id}"), "basketd.GateEvent");
                self.listen(topic, gate::event, outlet);
            }
        }
        for (id, source) in &plan.store.doors {
            if let DoorSource::Mqtt { topic } = source {
                let outlet = self.outlet(&format!("/door/{id}"), "basketd.Door");
                self.listen(topic, gate::door, outlet);
            }
        }
    }

    fn listen(&mut self, topic: &str, read: gate::Read, outlet: Outlet) {
        let heard = self.subscriber.listen(topic);
        let stop = self.stopped.clone();
        self.spawn(gate::run(topic.to_owned(), read, heard, outlet, stop));
    }

    /// The gates that may call, and how the others are told.
    fn http_gates(&mut self) -> BTreeMap<String, gates::Gate> {
        let plan = self.plan;
        let mut open = BTreeMap::new();
        for ((id, source), how) in plan.store.gates.iter().zip(&plan.how.gates) {
            if *source != GateSource::Http {
                continue;
            }
            let mut outlet = self.outlet(&format!("/gate/{id}"), "basketd.GateEvent");
            let secret = match &how.secret_file {
                None => Err("no `secret_file`: without one nobody may call it".to_owned()),
                Some(name) => secret::password(&plan.folder, name),
            };
            match secret {
                Ok(secret) => {
                    open.insert(id.clone(), gates::Gate::new(id, secret));
                    self.spawn(async move {
                        outlet.state(SourceState::Online, "").await.ok();
                    });
                }
                Err(why) => self.cannot(outlet, why),
            }
        }
        open
    }

    fn camera(
        &mut self,
        camera: &Camera,
        how: &CameraLive,
        occupied: Arc<AtomicBool>,
        frames: Arc<TakeFrame>,
    ) {
        let topic = format!("/camera/{}/detections", camera.id);
        let outlet = self.outlet(&topic, "basketd.Detections");
        match configs::camera_config(camera, how, &self.plan.folder) {
            Ok(Some(mut config)) => {
                config.occupied = occupied;
                let run = camera::run(config, frames, outlet, self.stopped.clone());
                self.spawn(run);
            }
            Ok(None) => {}
            Err(why) => self.cannot(outlet, why),
        }
    }

    /// Last of all: who listens to what is known.
    fn subscribe(&mut self) {
        let subscriber = std::mem::take(&mut self.subscriber);
        if subscriber.is_empty() {
            return;
        }
        let Some(mqtt) = &self.plan.mqtt else {
            self.spawn(subscriber.without("the store file has no [mqtt]"));
            return;
        };
        let client = format!("{}-sensors", self.plan.store.id);
        match crate::app::broker::options(mqtt, &self.plan.folder, &client) {
            Ok(options) => {
                let stop = self.stopped.clone();
                self.spawn(subscriber.run(options, stop));
            }
            Err(error) => {
                let why = format!("{error:#}");
                self.spawn(async move { subscriber.without(&why).await });
            }
        }
    }
}
