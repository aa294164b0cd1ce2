//! A device under an edge in virtual time: the edge runs as it does in a shop, time passes where it
//! waits, and a script tells what happens to the device.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::Device;
use crate::link::pipe::{BytePipe, Moment, Pace, PipeError, Port};
use crate::sim::random::Random;
use crate::units::{TimeDelta, Timestamp};

/// What can happen.
pub enum Event<D> {
    Unplug,
    /// The cable is pulled when so many more bytes have come through.
    UnplugAfter(usize),
    Plug,
    /// Of a thousand bytes so many are damaged, and between messages there is noise.
    Garble(u64),
    /// Something happens to the device.
    Device(fn(&mut D)),
    /// The edge is told to stop.
    Stop,
}

struct World<D> {
    device: D,
    now_ms: u64,
    /// The same, for whoever is not of this thread.
    time: Arc<AtomicU64>,
    begin: Timestamp,
    script: VecDeque<(u64, Event<D>)>,
    is_plugged: bool,
    cut_after: Option<usize>,
    garble_per_mille: u64,
    chance: Random,
    host_baud: u32,
    /// On its way to the host.
    arriving: VecDeque<Vec<u8>>,
    /// At most so many bytes come at a time.
    piece: usize,
    stop: watch::Sender<bool>,
    /// How often it was opened.
    opened: u32,
}

/// The device's port and its time in one; clones are of the same world.
pub struct Bench<D> {
    world: Rc<RefCell<World<D>>>,
    stop: watch::Receiver<bool>,
}

impl<D> Clone for Bench<D> {
    fn clone(&self) -> Self {
        Self {
            world: Rc::clone(&self.world),
            stop: self.stop.clone(),
        }
    }
}

impl<D: Device + 'static> Bench<D> {
    /// `script` is in order of time; its last event should be [`Event::Stop`].
    pub fn new(
        device: D,
        begin: Timestamp,
        script: impl IntoIterator<Item = (u64, Event<D>)>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let world = World {
            device,
            now_ms: 0,
            time: Arc::default(),
            begin,
            script: script.into_iter().collect(),
            is_plugged: true,
            cut_after: None,
            garble_per_mille: 0,
            chance: Random::new(1),
            host_baud: 0,
            arriving: VecDeque::new(),
            piece: usize::MAX,
            stop,
            opened: 0,
        };
        Self {
            world: Rc::new(RefCell::new(world)),
            stop: stopped,
        }
    }

    /// Bytes come at most so many at a time.
    pub fn in_pieces(self, piece: usize) -> Self {
        self.world.borrow_mut().piece = piece.max(1);
        self
    }

    pub fn stop(&self) -> watch::Receiver<bool> {
        self.stop.clone()
    }

    /// Milliseconds since the begin, as they pass.
    pub fn time(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.world.borrow().time)
    }

    pub fn opened(&self) -> u32 {
        self.world.borrow().opened
    }

    /// Looks at the device.
    pub fn device<T>(&self, look: impl FnOnce(&D) -> T) -> T {
        look(&self.world.borrow().device)
    }
}

impl<D: Device> World<D> {
    /// Time passes, and what the script has for that time happens.
    fn pass_to(&mut self, until_ms: u64) {
        self.now_ms = self.now_ms.max(until_ms);
        self.time.store(self.now_ms, Ordering::Relaxed);
        let now_ms = self.now_ms;
        let is_due = |(at, _): &(u64, Event<D>)| *at <= now_ms;
        while self.script.front().is_some_and(is_due) {
            let Some((_, event)) = self.script.pop_front() else {
                return;
            };
            match event {
                Event::Unplug => self.unplug(),
                Event::UnplugAfter(bytes) => self.cut_after = Some(bytes),
                Event::Plug => {
                    self.is_plugged = true;
                    self.device.power_on(self.now_ms);
                }
                Event::Garble(per_mille) => self.garble_per_mille = per_mille,
                Event::Device(change) => change(&mut self.device),
                Event::Stop => {
                    self.stop.send_replace(true);
                }
            }
        }
    }

    fn unplug(&mut self) {
        self.is_plugged = false;
        self.cut_after = None;
        self.arriving.clear();
    }

    /// The earliest time at which anything happens.
    fn next_ms(&self) -> u64 {
        let scripted = self.script.front().map(|(at, _)| *at);
        let device = self.device.next_ms();
        scripted.into_iter().chain(device).min().unwrap_or(u64::MAX)
    }

    fn collect(&mut self) {
        while let Some(message) = self.device.transmit(self.now_ms) {
            let message = self.damage(message);
            self.arriving.push_back(message);
        }
    }

    /// A line of another speed turns bytes into others; a bad cable some of them.
    fn damage(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        let wrong_speed = self
            .device
            .baud()
            .is_some_and(|baud| baud != self.host_baud);
        for byte in &mut message {
            if wrong_speed || self.chance.int(0, 999) < self.garble_per_mille {
                *byte = byte.wrapping_mul(167) ^ self.chance.int(1, 255) as u8;
            }
        }
        if self.garble_per_mille > 0 && self.chance.int(0, 1) == 0 {
            let noise = (0..self.chance.int(0, 7)).map(|_| self.chance.int(0, 255) as u8);
            let noise: Vec<u8> = noise.collect();
            message.extend(noise);
        }
        message
    }

    /// Some of what has arrived, and the cable's cut in the middle of it.
    fn deliver(&mut self, buffer: &mut [u8]) -> usize {
        let Some(mut message) = self.arriving.pop_front() else {
            return 0;
        };
        let mut count = message.len().min(buffer.len()).min(self.piece);
        if let Some(left) = &mut self.cut_after {
            count = count.min(*left);
            *left -= count;
        }
        buffer[..count].copy_from_slice(&message[..count]);
        message.drain(..count);
        if !message.is_empty() {
            self.arriving.push_front(message);
        }
        if self.cut_after == Some(0) {
            self.unplug();
        }
        count
    }
}

struct Pipe<D> {
    world: Rc<RefCell<World<D>>>,
    descriptor: Vec<u8>,
}

impl<D: Device> BytePipe for Pipe<D> {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> Result<usize, PipeError> {
        let mut world = self.world.borrow_mut();
        let until_ms = world.now_ms + timeout.as_millis() as u64;
        loop {
            if !world.is_plugged {
                return Err(PipeError::Unplugged);
            }
            world.collect();
            let count = world.deliver(buffer);
            if count > 0 {
                return Ok(count);
            }
            if world.now_ms >= until_ms || *world.stop.borrow() {
                return Ok(0);
            }
            let next_ms = world.next_ms().max(world.now_ms + 1).min(until_ms);
            world.pass_to(next_ms);
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), PipeError> {
        let mut world = self.world.borrow_mut();
        if !world.is_plugged {
            return Err(PipeError::Unplugged);
        }
        let now_ms = world.now_ms;
        let bytes = world.damage_to_device(bytes);
        world.device.receive(now_ms, &bytes);
        Ok(())
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), PipeError> {
        self.world.borrow_mut().host_baud = baud;
        Ok(())
    }

    fn descriptor(&self) -> &[u8] {
        &self.descriptor
    }
}

impl<D: Device> World<D> {
    /// The same on the way there; a bad cable is bad towards the host alone, so that a story tells
    /// what was lost.
    fn damage_to_device(&mut self, bytes: &[u8]) -> Vec<u8> {
        let wrong_speed = self
            .device
            .baud()
            .is_some_and(|baud| baud != self.host_baud);
        let mangle = |byte: &u8| {
            if wrong_speed {
                byte.wrapping_mul(167) ^ 0x5A
            } else {
                *byte
            }
        };
        bytes.iter().map(mangle).collect()
    }
}

impl<D: Device + 'static> Port for Bench<D> {
    fn open(&mut self) -> Result<Box<dyn BytePipe>, PipeError> {
        let mut world = self.world.borrow_mut();
        if !world.is_plugged {
            return Err(PipeError::Missing("not plugged in".to_owned()));
        }
        world.opened += 1;
        world.arriving.clear();
        let now_ms = world.now_ms;
        world.device.opened(now_ms);
        Ok(Box::new(Pipe {
            descriptor: world.device.descriptor().to_vec(),
            world: Rc::clone(&self.world),
        }))
    }

    fn name(&self) -> String {
        "usb 0403:6001".to_owned()
    }
}

impl<D: Device> Pace for Bench<D> {
    fn now(&self) -> Moment {
        let world = self.world.borrow();
        let since = TimeDelta::from_millis(world.now_ms as i64);
        Moment {
            ms: world.now_ms,
            wall: world.begin + since,
        }
    }

    fn pause(&self, duration: Duration) {
        let mut world = self.world.borrow_mut();
        let until_ms = world.now_ms + duration.as_millis() as u64;
        while world.now_ms < until_ms {
            let next_ms = world.next_ms().max(world.now_ms + 1).min(until_ms);
            world.pass_to(next_ms);
        }
    }
}
