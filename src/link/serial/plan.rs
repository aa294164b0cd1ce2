//! Which bridge a device is, by its descriptors first and its maker second, and through which
//! endpoints bytes go.

use rusb::{Context, Device, Direction, TransferType};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bridge {
    CdcAcm,
    Ftdi,
    Cp210x,
    Ch341,
}

/// One interface in its first setting, as far as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) number: u8,
    pub(super) class: u8,
    pub(super) subclass: u8,
    /// Address of a bulk endpoint, and how long its packets are.
    pub(super) bulk_in: Option<(u8, u16)>,
    pub(super) bulk_out: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) bridge: Bridge,
    /// The interface that settings go to.
    pub(super) control: u8,
    /// The interface that bytes go through.
    pub(super) data: u8,
    pub(super) bulk_in: u8,
    pub(super) bulk_out: u8,
    /// Bytes of a packet.
    pub(super) packet: u16,
    /// Whether the chip has several lines.
    several: bool,
}

/// USB class codes (usb.org, "Defined Class Codes").
mod class {
    pub(super) const COMMUNICATIONS: u8 = 0x02;
    pub(super) const CDC_DATA: u8 = 0x0A;
    pub(super) const VENDOR: u8 = 0xFF;
}

/// Abstract control model (USB CDC PSTN 1.2, 3.6.2).
const ABSTRACT_CONTROL: u8 = 0x02;

impl Plan {
    /// None where no interface has a bulk endpoint each way.
    pub(super) fn choose(vendor: u16, interfaces: &[Interface]) -> Option<Self> {
        let control = interfaces.iter().find(|interface| {
            interface.class == class::COMMUNICATIONS && interface.subclass == ABSTRACT_CONTROL
        });
        if let Some(control) = control {
            let data = interfaces
                .iter()
                .find(|interface| interface.class == class::CDC_DATA)
                .unwrap_or(control);
            return Self::over(Bridge::CdcAcm, control.number, data, interfaces);
        }
        let bridge = match vendor {
            0x0403 => Bridge::Ftdi,
            0x10C4 => Bridge::Cp210x,
            0x1A86 | 0x4348 => Bridge::Ch341,
            _ => Bridge::CdcAcm,
        };
        let has_bulk =
            |interface: &&Interface| interface.bulk_in.is_some() && interface.bulk_out.is_some();
        let mut fitting = interfaces.iter().filter(has_bulk);
        let own = fitting
            .clone()
            .find(|interface| interface.class == class::VENDOR);
        let data = own.or_else(|| fitting.next())?;
        Self::over(bridge, data.number, data, interfaces)
    }

    fn over(bridge: Bridge, control: u8, data: &Interface, all: &[Interface]) -> Option<Self> {
        let (bulk_in, packet) = data.bulk_in?;
        Some(Self {
            bridge,
            control,
            data: data.number,
            bulk_in,
            bulk_out: data.bulk_out?,
            packet,
            several: all.len() > 1,
        })
    }

    /// The interfaces to take for ourselves.
    pub(super) fn claims(&self) -> impl Iterator<Item = u8> + use<> {
        let second = (self.data != self.control).then_some(self.data);
        core::iter::once(self.control).chain(second)
    }

    /// Which of a chip's lines: from 1, and 0 where there is one alone.
    pub(super) fn channel(&self) -> u16 {
        if self.several {
            u16::from(self.data) + 1
        } else {
            0
        }
    }
}

/// The interfaces of the device's active configuration.
pub(super) fn interfaces(device: &Device<Context>) -> Result<Vec<Interface>, rusb::Error> {
    let config = device.active_config_descriptor()?;
    Ok(config
        .interfaces()
        .filter_map(|interface| interface.descriptors().next())
        .map(|setting| {
            let mut interface = Interface {
                number: setting.interface_number(),
                class: setting.class_code(),
                subclass: setting.sub_class_code(),
                bulk_in: None,
                bulk_out: None,
            };
            for endpoint in setting.endpoint_descriptors() {
                match (endpoint.transfer_type(), endpoint.direction()) {
                    (TransferType::Bulk, Direction::In) => {
                        let packet = endpoint.max_packet_size();
                        interface
                            .bulk_in
                            .get_or_insert((endpoint.address(), packet));
                    }
                    (TransferType::Bulk, Direction::Out) => {
                        interface.bulk_out.get_or_insert(endpoint.address());
                    }
                    _ => {}
                }
            }
            interface
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(number: u8, class: u8, subclass: u8, has_bulk: bool) -> Interface {
        Interface {
            number,
            class,
            subclass,
            bulk_in: has_bulk.then_some((0x81 + number, 64)),
            bulk_out: has_bulk.then_some(2 + number),
        }
    }

    #[test]
    fn descriptors_come_before_makers() {
        // WCH's CH9102 has a CH34x's maker and is CDC-ACM by its descriptors.
        let acm = [interface(0, 2, 2, false), interface(1, 0x0A, 0, true)];
        let plan = Plan::choose(0x1A86, &acm).unwrap();
        assert_eq!(plan.bridge, Bridge::CdcAcm);
        assert_eq!(plan.claims().collect::<Vec<_>>(), [0, 1]);
        assert_eq!((plan.bulk_in, plan.bulk_out), (0x82, 3));
        let own = [interface(0, 0xFF, 0, true)];
        let bridge = |vendor| Plan::choose(vendor, &own).map(|plan| plan.bridge);
        assert_eq!(bridge(0x0403), Some(Bridge::Ftdi));
        assert_eq!(bridge(0x10C4), Some(Bridge::Cp210x));
        assert_eq!(bridge(0x1A86), Some(Bridge::Ch341));
        assert_eq!(bridge(0x2008), Some(Bridge::CdcAcm));
    }

    #[test]
    fn a_chip_of_several_lines_has_channels() {
        let one = [interface(0, 0xFF, 0, true)];
        let two = [interface(0, 0xFF, 0, true), interface(1, 0xFF, 0, true)];
        let channel = |all| Plan::choose(0x0403, all).unwrap().channel();
        assert_eq!((channel(&one), channel(&two)), (0, 1));
    }

    #[test]
    fn a_device_without_endpoints_is_no_line() {
        assert_eq!(Plan::choose(0x0403, &[]), None);
        assert_eq!(Plan::choose(0x0403, &[interface(0, 3, 0, false)]), None);
        assert_eq!(Plan::choose(0x0403, &[interface(0, 2, 2, false)]), None);
    }
}
