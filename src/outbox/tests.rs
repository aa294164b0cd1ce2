//! The outbox against a real file.

use std::time::Duration;

use super::{Batch, Change, Limits, OpenError, Outbox, Reader, Row};

const DAY_US: i64 = 86_400_000_000;
const LIMITS: Limits = Limits {
    event_days: 90,
    traffic_days: 7,
    traffic_bytes: 1_000,
};

fn row(n: u64, at_us: i64) -> Row {
    Row {
        n,
        at_us,
        kind: "basketd.visit.opened".to_owned(),
        visit: Some(format!("v-{n:06}")),
        topic: "t".to_owned(),
        retained: false,
        body: "x".repeat(100),
        change: Some(Change::Opened { token: None }),
    }
}

fn rows(numbers: std::ops::RangeInclusive<u64>, at_us: i64) -> Vec<Row> {
    numbers.map(|n| row(n, at_us)).collect()
}

fn settled(outbox: &Outbox) {
    assert!(outbox.barrier(Duration::from_secs(10)));
}

#[test]
fn what_is_written_twice_is_there_once_and_survives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let open = || Outbox::open(&path, "s", "j1", LIMITS, || {}).unwrap();
    let outbox = open();
    for events in [rows(1..=3, 0), rows(2..=5, 0)] {
        outbox.write(Batch {
            events,
            ..Batch::default()
        });
    }
    settled(&outbox);
    assert_eq!((outbox.committed(), outbox.waiting_bytes()), (5, 500));
    outbox.confirm(2);
    settled(&outbox);
    drop(outbox);
    let outbox = Outbox::open(&path, "s", "other", LIMITS, || {}).unwrap();
    assert_eq!(outbox.journal(), "j1", "a database keeps its journal's id");
    let known = (
        outbox.committed(),
        outbox.confirmed(),
        outbox.waiting_bytes(),
    );
    assert_eq!(known, (5, 2, 300));
    let reader = Reader::open(&path).unwrap();
    let after: Vec<u64> = reader.after(3, 10).unwrap().iter().map(|q| q.n).collect();
    assert_eq!(after, [4, 5]);
    let other = Outbox::open(&path, "s-2", "j", LIMITS, || {});
    assert!(matches!(other, Err(OpenError::OtherStore { .. })));
}

#[test]
fn history_goes_by_age_when_it_is_confirmed_and_traffic_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("outbox.db");
    let outbox = Outbox::open(&path, "s", "j", LIMITS, || {}).unwrap();
    outbox.write(Batch {
        events: rows(1..=10, 0),
        // Twenty of a hundred bytes, where ten may stay.
        traffic: rows(1..=20, 100 * DAY_US),
        ..Batch::default()
    });
    settled(&outbox);
    outbox.confirm(6);
    outbox.tend(100 * DAY_US);
    settled(&outbox);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(
        reader.first_n().unwrap(),
        Some(7),
        "what is not confirmed stays"
    );
    assert_eq!(reader.last_n().unwrap(), 10);
    assert!(
        outbox.traffic_bytes() <= 1_000,
        "{}",
        outbox.traffic_bytes()
    );
    assert_eq!(
        outbox.traffic_dropped(),
        10,
        "the oldest, as many as it takes"
    );
    // Traffic that the broker has is done.
    outbox.write(Batch {
        traffic: rows(21..=23, 100 * DAY_US),
        ..Batch::default()
    });
    settled(&outbox);
    outbox.traffic_sent(22);
    settled(&outbox);
    let left: Vec<u64> = reader.traffic(9).unwrap().iter().map(|q| q.n).collect();
    assert_eq!(left, [23]);
}
