//! "If an optional parameter is enabled, and is absent in the report, the Client SHALL assume that
//! the value is identical to the last parameter of the same type received" (LLRP 1.0.1 clause
//! 13.2.3, 1.1 clause 14.2.3). Readers are free to make use of it, and cannot be asked whether they
//! do; Impinj's say that they always tell everything.
//!
//! So a client that knows its reader to leave things out keeps one [`Carry`] for a connection, and
//! gives it every report in order.

use super::TagReportData;

/// What was told last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carry {
    last: TagReportData<'static>,
}

impl Carry {
    /// Fills what is absent in `report` with what was told last since [`Self::clear`], and keeps
    /// what it tells.
    ///
    /// The tag's own are never filled: EPC, PC, CRC, and Impinj's parameters, which the clause does
    /// not speak of. Nor is AccessSpecID: absent, it also means that no operation was tried. A
    /// time is filled where neither clock was told.
    pub fn fill(&mut self, report: &mut TagReportData<'_>) {
        let last = &mut self.last;
        carry(&mut last.rospec_id, &mut report.rospec_id);
        carry(&mut last.spec_index, &mut report.spec_index);
        carry(
            &mut last.inventory_parameter_spec_id,
            &mut report.inventory_parameter_spec_id,
        );
        carry(&mut last.antenna_id, &mut report.antenna_id);
        carry(&mut last.peak_rssi_dbm, &mut report.peak_rssi_dbm);
        carry(&mut last.channel_index, &mut report.channel_index);
        carry(&mut last.tag_seen_count, &mut report.tag_seen_count);
        carry_time(
            (&mut last.first_seen_utc_us, &mut last.first_seen_uptime_us),
            (
                &mut report.first_seen_utc_us,
                &mut report.first_seen_uptime_us,
            ),
        );
        carry_time(
            (&mut last.last_seen_utc_us, &mut last.last_seen_uptime_us),
            (
                &mut report.last_seen_utc_us,
                &mut report.last_seen_uptime_us,
            ),
        );
    }

    /// Forgets: for a new connection, and where what reports tell has changed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn carry<T: Copy>(last: &mut Option<T>, told: &mut Option<T>) {
    *told = told.or(*last);
    *last = *told;
}

type Clocks<'a> = (&'a mut Option<u64>, &'a mut Option<u64>);

fn carry_time(last: Clocks<'_>, told: Clocks<'_>) {
    if told.0.is_none() && told.1.is_none() {
        (*told.0, *told.1) = (*last.0, *last.1);
    }
    (*last.0, *last.1) = (*told.0, *told.1);
}
