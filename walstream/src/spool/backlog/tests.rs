//! First in, first out, whatever the sizes; and the disk has its room again.

use super::*;
use crate::limits::Compression;

const MIB: u64 = 1 << 20;

fn backlog(path: &str, cap: u64) -> (Arc<Usage>, Backlog) {
    let usage = Arc::<Usage>::default();
    let folder = Arc::new(Folder {
        path: path.into(),
        compression: Compression::None,
    });
    (Arc::clone(&usage), Backlog::new(usage, folder, cap))
}

fn temporary(cap: u64) -> (Arc<Usage>, Backlog) {
    backlog(std::env::temp_dir().to_str().unwrap(), cap)
}

fn put(backlog: &mut Backlog, number: u64, len: usize) {
    let bytes = vec![number.to_be_bytes()[7]; len];
    backlog.message(Lsn(number), 1000 + number, &bytes).unwrap();
}

/// Takes what must be this message.
fn take(backlog: &mut Backlog, number: u64, len: usize) {
    assert!(backlog.advance().unwrap(), "{number} is missing");
    let Received::Message { lsn, offset, bytes } = backlog.current() else {
        panic!("{:?}", backlog.current())
    };
    assert_eq!((lsn, offset), (Lsn(number), 1000 + number));
    assert_eq!(bytes, vec![number.to_be_bytes()[7]; len]);
}

fn take_keepalive(backlog: &mut Backlog, expected: (u64, bool)) {
    assert!(backlog.advance().unwrap());
    let Received::Keepalive {
        wal_end,
        reply_requested,
    } = backlog.current()
    else {
        panic!("{:?}", backlog.current())
    };
    assert_eq!((wal_end.0, reply_requested), expected);
}

/// Of every size from nothing to more than a piece.
fn size(number: u64) -> usize {
    match number % 1000 {
        999 => 300_000,
        small => usize::try_from(small).unwrap(),
    }
}

#[test]
fn what_went_in_comes_out_in_order_however_far_apart_both_ends_are() {
    let (usage, mut backlog) = temporary(MIB);
    let mut taken = 0;
    for number in 0..20_000 {
        put(&mut backlog, number, size(number));
        // A third as fast at first, twice as fast in the end.
        let most = if number < 10_000 {
            number / 3
        } else {
            taken + 2
        };
        while taken < most.min(number) {
            take(&mut backlog, taken, size(taken));
            taken += 1;
        }
    }
    while taken < 20_000 {
        take(&mut backlog, taken, size(taken));
        taken += 1;
    }
    assert!(backlog.is_empty() && !backlog.advance().unwrap());
    assert_eq!(usage.disk(), 0);
    put(&mut backlog, 1, 10);
    assert!(!backlog.is_empty());
    take(&mut backlog, 1, 10);
    assert!(backlog.is_empty());
}

#[test]
fn the_disk_has_its_room_again_segment_by_segment() {
    let (usage, mut backlog) = temporary(64 * MIB);
    for number in 0..160_000 {
        put(&mut backlog, number, 100);
    }
    let full = usage.disk();
    assert!(full > 18 * MIB, "{full}");
    let mut taken = 0;
    while usage.disk() == full {
        take(&mut backlog, taken, 100);
        taken += 1;
    }
    let freed = full - usage.disk();
    assert!((MIB..3 * MIB / 2).contains(&freed), "{freed}");
    // All that is taken is free, but for what its segment still holds.
    while taken < 80_000 {
        take(&mut backlog, taken, 100);
        taken += 1;
    }
    assert!(usage.disk() < full / 2 + 2 * MIB);
    drop(backlog);
    assert_eq!(usage.disk(), 0);
}

#[test]
fn keepalives_keep_their_place_and_only_the_last_of_several_counts() {
    let (_, mut backlog) = temporary(MIB);
    backlog.keepalive(Lsn(10), true);
    backlog.keepalive(Lsn(20), false);
    put(&mut backlog, 30, 3);
    backlog.keepalive(Lsn(40), false);
    take_keepalive(&mut backlog, (20, true));
    take(&mut backlog, 30, 3);
    put(&mut backlog, 50, 3);
    backlog.keepalive(Lsn(60), false);
    take_keepalive(&mut backlog, (40, false));
    take(&mut backlog, 50, 3);
    assert!(!backlog.is_empty());
    take_keepalive(&mut backlog, (60, false));
    assert!(backlog.is_empty());
}

#[test]
fn what_came_before_the_disk_was_full_is_handed_back() {
    let (usage, mut backlog) = backlog("/dev/full", MIB);
    let mut put = 0;
    let fault = loop {
        match backlog.message(Lsn(put), 1000 + put, &vec![put.to_be_bytes()[7]; 1000]) {
            Ok(()) => put += 1,
            Err(fault) => break fault,
        }
    };
    assert!(fault.to_string().contains("cannot be written"), "{fault}");
    assert!(put > 250, "a piece is gathered first");
    for number in 0..put {
        take(&mut backlog, number, 1000);
    }
    assert!(!backlog.advance().unwrap());
    assert_eq!(usage.disk(), 0);
}

#[test]
fn damage_is_an_error_and_not_the_next_message() {
    let (_, mut backlog) = temporary(MIB);
    for number in 0..1000 {
        put(&mut backlog, number, 1000);
    }
    let first = backlog.segments.front().unwrap();
    first.file.flip(100_000);
    let fault = backlog.advance().unwrap_err();
    assert!(fault.to_string().contains("is damaged"), "{fault}");
}
