//! What a reader demands of a request before it does it, and how it says no.

use super::{ReaderSetup, Refuses};
use crate::wire::llrp::{Draft, Element, Message, check};

/// Why a request is refused: LLRPStatus (LLRP 1.0.1 clause 14.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    code: &'static str,
    text: String,
    /// The parameter's type, the field's number from 0, and the code of what is wrong there.
    at: Option<(u16, u16, &'static str)>,
}

impl Fault {
    pub(super) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            at: None,
        }
    }

    fn field(parameter: u16, field: u16, error: &'static str, text: impl Into<String>) -> Self {
        Self {
            at: Some((parameter, field, error)),
            ..Self::new("M_ParameterError", text)
        }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The answer of this name.
    pub(super) fn answer(&self, name: &str) -> Draft {
        let at = self.at.map(|(parameter, field, error)| {
            let field = Draft::new("FieldError")
                .set("FieldNum", field)
                .set("ErrorCode", error);
            Draft::new("ParameterError")
                .set("ParameterType", parameter)
                .set("ErrorCode", "P_FieldError")
                .with(field)
        });
        let status = Draft::new("LLRPStatus")
            .set("StatusCode", self.code)
            .set("ErrorDescription", &*self.text)
            .with_all(at);
        Draft::new(name).with(status)
    }
}

/// What the standard demands of every request: what must be there is, in order, with values that
/// have a meaning.
pub(super) fn manners(message: &Message) -> Result<(), Fault> {
    match check::problems(&message.body).first() {
        Some(problem) => Err(Fault::new("M_ParameterError", problem.to_string())),
        None => Ok(()),
    }
}

/// Vendors' parameters are not taken before the vendor's extensions are enabled.
pub(super) fn extensions(element: &Element, enabled: bool) -> Result<(), Fault> {
    let vendor = |e: &Element| e.name() == "Custom" || e.name().starts_with("Impinj");
    match element.parameters().iter().find(|p| vendor(p)) {
        Some(own) if !enabled => {
            let text = format!("{}: extensions are not enabled", own.name());
            Err(Fault::field(1023, 0, "P_UnsupportedParameter", text))
        }
        _ => element
            .parameters()
            .iter()
            .try_for_each(|p| extensions(p, enabled)),
    }
}

/// Of the ROSpec in ADD_ROSPEC.
pub(super) fn rospec(rospec: &Element, setup: &ReaderSetup) -> Result<(), Fault> {
    if rospec.number("ROSpecID") == Some(0) {
        return Err(Fault::field(177, 0, "A_Invalid", "ROSpecID 0 means all"));
    }
    if rospec.entry("CurrentState") != Some("Disabled") {
        let text = "a ROSpec is added in the state Disabled";
        return Err(Fault::field(177, 2, "A_Invalid", text));
    }
    let mut specs = rospec.params("AISpec").peekable();
    if specs.peek().is_none() {
        return Err(Fault::new("M_ParameterError", "a ROSpec without AISpec"));
    }
    for spec in specs {
        ai_spec(spec, setup)?;
    }
    Ok(())
}

fn ai_spec(spec: &Element, setup: &ReaderSetup) -> Result<(), Fault> {
    let ids = spec.field("AntennaIDs").and_then(|ids| ids.as_words());
    match ids.unwrap_or(&[]) {
        [0] => {}
        [] => return Err(Fault::field(183, 0, "A_Invalid", "no AntennaIDs")),
        some => {
            if let Some(id) = some.iter().find(|id| !(1..=setup.antennas).contains(*id)) {
                let text = format!("AntennaIDs: no antenna {id}");
                return Err(Fault::field(183, 0, "A_OutOfRange", text));
            }
        }
    }
    let inventories = spec.params("InventoryParameterSpec");
    for inventory in inventories {
        if inventory.number("InventoryParameterSpecID") == Some(0) {
            return Err(Fault::field(186, 0, "A_Invalid", "0 is no id"));
        }
        for antenna in inventory.params("AntennaConfiguration") {
            antenna_configuration(antenna, setup)?;
        }
    }
    Ok(())
}

pub(super) fn antenna_configuration(antenna: &Element, setup: &ReaderSetup) -> Result<(), Fault> {
    let id = antenna.number("AntennaID").unwrap_or(0);
    if id > u64::from(setup.antennas) {
        let text = format!("AntennaConfiguration: no antenna {id}");
        return Err(Fault::field(222, 0, "A_OutOfRange", text));
    }
    if let Some(transmitter) = antenna.param("RFTransmitter") {
        rf_transmitter(transmitter, setup)?;
    }
    let commands = antenna.params("C1G2InventoryCommand");
    for command in commands {
        inventory_command(command, setup)?;
    }
    Ok(())
}

fn rf_transmitter(transmitter: &Element, setup: &ReaderSetup) -> Result<(), Fault> {
    let number = |name| transmitter.number(name).unwrap_or(0) as usize;
    let (hop, channel) = (number("HopTableID"), number("ChannelIndex"));
    if setup.hopping && hop != 1 {
        let text = format!("RFTransmitter parameter, invalid HopTableID ({hop})");
        return Err(Fault::field(224, 0, "A_Invalid", text));
    }
    if !setup.hopping && !(1..=setup.channels_khz.len()).contains(&channel) {
        let text = format!("RFTransmitter parameter, invalid ChannelIndex ({channel})");
        return Err(Fault::field(224, 1, "A_OutOfRange", text));
    }
    let power = number("TransmitPower");
    let known = (1..=setup.power_cdbm.len()).contains(&power);
    if !known || setup.refuses.contains(&Refuses::Power) {
        let text = format!("RFTransmitter parameter, invalid TransmitPower ({power})");
        return Err(Fault::field(224, 2, "A_OutOfRange", text));
    }
    Ok(())
}

fn inventory_command(command: &Element, setup: &ReaderSetup) -> Result<(), Fault> {
    if let Some(control) = command.param("C1G2RFControl") {
        let mode = control.number("ModeIndex").unwrap_or(0);
        let known = setup.rf_modes.iter().any(|known| u64::from(*known) == mode);
        if !known || setup.refuses.contains(&Refuses::RfMode) {
            let text = format!("mode {mode} is not supported here");
            return Err(Fault::field(335, 0, "A_OutOfRange", text));
        }
    }
    let control = command.param("C1G2SingulationControl");
    if control.is_some() && setup.refuses.contains(&Refuses::Session) {
        // Some tell it in their text alone.
        return Err(Fault::new(
            "M_FieldError",
            "C1G2SingulationControl: Session cannot be set",
        ));
    }
    Ok(())
}
