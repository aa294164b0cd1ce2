//! From a module that answers to one that reads: what it is asked and told, in which order, and what
//! its refusals mean.

use std::collections::VecDeque;
use std::fmt;

use super::Config;
use crate::wire::thingmagic::{Command, Fault, PortPower, Region, Response, Version, opcode};

/// The speed to read at; at 9600 bit/s twenty tags fill a second.
const READING_BAUD: u32 = 115_200;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Program,
    Boot,
    Speed,
    Regions,
    Region,
    SetRegion,
    Limits,
    Power,
    PortPowers,
    Protocol,
    Ports,
    FilterOff,
    Start,
}

/// What an answer means for the talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Next,
    /// The module goes on at this speed.
    NextAt(u32),
    /// It cannot be set up, and why.
    Wrong(String),
    /// The answer is to something else.
    Other,
}

impl Step {
    pub(super) fn opcode(self) -> u8 {
        match self {
            Self::Program => opcode::CURRENT_PROGRAM,
            Self::Boot => opcode::BOOT_FIRMWARE,
            Self::Speed => opcode::SET_BAUD,
            Self::Regions => opcode::AVAILABLE_REGIONS,
            Self::Region => opcode::GET_REGION,
            Self::SetRegion => opcode::SET_REGION,
            Self::Limits => opcode::GET_READ_POWER,
            Self::Power => opcode::SET_READ_POWER,
            Self::PortPowers | Self::Ports => opcode::SET_ANTENNA,
            Self::Protocol => opcode::SET_PROTOCOL,
            Self::FilterOff => opcode::SET_OPTION,
            Self::Start => opcode::MULTI_PROTOCOL,
        }
    }

    pub(super) fn patience_ms(self) -> u64 {
        match self {
            Self::Boot => 4000,
            _ => 1000,
        }
    }

    /// Modules that lack it read as well without.
    fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Program | Self::Speed | Self::Regions | Self::Limits | Self::FilterOff
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Program => "asked which program runs",
            Self::Boot => "told to start its firmware",
            Self::Speed => "told its speed",
            Self::Regions => "asked which regions it knows",
            Self::Region => "asked its region",
            Self::SetRegion => "told its region",
            Self::Limits => "asked its limits of power",
            Self::Power => "told its power",
            Self::PortPowers => "told the ports' powers",
            Self::Protocol => "told to read Gen2 tags",
            Self::Ports => "told its ports",
            Self::FilterOff => "told to report each read",
            Self::Start => "told to read",
        })
    }
}

#[derive(Debug)]
pub(super) struct Setup {
    steps: VecDeque<Step>,
    version: Option<Version>,
    region: Option<Region>,
    ports: Vec<u8>,
    powers: Vec<PortPower>,
    /// What the module does otherwise than it was configured.
    notes: Vec<String>,
}

impl Setup {
    pub(super) fn new(config: &Config) -> Self {
        let mut ports: Vec<u8> = config.ports.iter().map(|antenna| antenna.port).collect();
        if ports.is_empty() {
            ports.push(1);
        }
        let powers = config.ports.iter().filter_map(|antenna| {
            Some(PortPower {
                port: antenna.port,
                power_cdbm: antenna.power_cdbm?,
            })
        });
        Self {
            steps: VecDeque::new(),
            version: None,
            region: config.region,
            ports,
            powers: powers.collect(),
            notes: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self, version: Version, baud: u32) {
        self.version = Some(version);
        self.notes.clear();
        self.steps = [Step::Program].into();
        if baud < READING_BAUD {
            self.steps.push_back(Step::Speed);
        }
        if self.region.is_some() {
            self.steps.extend([Step::Regions, Step::SetRegion]);
        } else {
            self.steps.push_back(Step::Region);
        }
        if !self.powers.is_empty() {
            self.steps
                .extend([Step::Limits, Step::Power, Step::PortPowers]);
        }
        self.steps
            .extend([Step::Protocol, Step::Ports, Step::FilterOff, Step::Start]);
    }

    pub(super) fn next_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    pub(super) fn encode(&self, step: Step, out: &mut Vec<u8>) {
        let command = match step {
            Step::Program => Command::CurrentProgram,
            Step::Boot => Command::BootFirmware,
            Step::Speed => Command::SetBaud(READING_BAUD),
            Step::Regions => Command::AvailableRegions,
            Step::Region => Command::Region,
            Step::SetRegion => Command::SetRegion(self.region.unwrap_or(Region::from_code(0))),
            Step::Limits => Command::ReadPower,
            Step::Power => Command::SetReadPower(self.powers.first().map_or(0, |p| p.power_cdbm)),
            Step::PortPowers => Command::PortPowers(&self.powers),
            Step::Protocol => Command::ProtocolGen2,
            Step::Ports => Command::SearchList(&self.ports),
            Step::FilterOff => Command::SetOption {
                key: Command::READ_FILTER,
                value: 0,
            },
            Step::Start => Command::Start,
        };
        command.encode(out);
    }

    pub(super) fn on_answer(&mut self, step: Step, response: Response<'_>) -> Verdict {
        match (step, response) {
            (step, Response::Fault { fault, .. }) => self.on_fault(step, fault),
            (Step::Program, Response::Program { boot_loader }) => {
                if boot_loader {
                    self.steps.push_front(Step::Boot);
                }
                Verdict::Next
            }
            (Step::Boot, Response::Version(version)) => {
                self.version = Some(version);
                Verdict::Next
            }
            (Step::Speed, Response::Done { .. }) => Verdict::NextAt(READING_BAUD),
            (Step::Regions, Response::AvailableRegions(codes)) => self.on_regions(codes),
            (Step::Region, Response::Region(region)) if !region.is_set() => {
                Verdict::Wrong("it has no region set; configure one".to_owned())
            }
            (Step::Limits, Response::Power { max, min, .. }) => {
                self.on_limits(min, max);
                Verdict::Next
            }
            // An answer to the order to stop, which was too late.
            (Step::Start, Response::Stopped) => Verdict::Other,
            _ => Verdict::Next,
        }
    }

    fn on_fault(&self, step: Step, fault: Fault) -> Verdict {
        let same_powers = self
            .powers
            .windows(2)
            .all(|pair| pair[0].power_cdbm == pair[1].power_cdbm);
        if step.is_optional() || (step == Step::PortPowers && same_powers) {
            return Verdict::Next;
        }
        let what = match step {
            Step::SetRegion => format!("region {}", self.region.unwrap_or(Region::from_code(0))),
            Step::Ports => format!("antenna ports {:?}", self.ports),
            Step::PortPowers => "a power for each port".to_owned(),
            step => return Verdict::Wrong(format!("it refuses to be {step}: {fault}")),
        };
        Verdict::Wrong(format!("{} does not have {what}: {fault}", self.name()))
    }

    fn on_regions(&mut self, codes: &[u8]) -> Verdict {
        let known: Vec<Region> = codes.iter().copied().map(Region::from_code).collect();
        let Some(wanted) = self.region else {
            return Verdict::Next;
        };
        if known.is_empty() || known.contains(&wanted) {
            return Verdict::Next;
        }
        if let Some(instead) = wanted
            .instead()
            .iter()
            .find(|region| known.contains(region))
        {
            self.region = Some(*instead);
            return Verdict::Next;
        }
        let known: Vec<String> = known.iter().map(Region::to_string).collect();
        Verdict::Wrong(format!(
            "{} does not know region {wanted}; it knows {}",
            self.name(),
            known.join(", ")
        ))
    }

    fn on_limits(&mut self, min: i16, max: i16) {
        if min > max {
            return;
        }
        for PortPower { port, power_cdbm } in &mut self.powers {
            let possible = (*power_cdbm).clamp(min, max);
            if possible != *power_cdbm {
                self.notes.push(format!(
                    "port {port} at {} dBm for {} dBm, which it does not have",
                    dbm(possible),
                    dbm(*power_cdbm)
                ));
                *power_cdbm = possible;
            }
        }
    }

    fn name(&self) -> String {
        match &self.version {
            Some(version) => version.to_string(),
            None => "the module".to_owned(),
        }
    }

    /// What reads, for people.
    pub(super) fn summary(&self) -> String {
        let mut summary = self.name();
        for note in &self.notes {
            summary.push_str("; ");
            summary.push_str(note);
        }
        summary
    }
}

fn dbm(cdbm: i16) -> f32 {
    f32::from(cdbm) / 100.0
}
