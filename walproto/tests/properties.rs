//! Whatever the writer writes, the decoder gives back; whatever else comes, it refuses without moving.
//!
//! The writer in `testdata` shares no code with walproto, so each checks the other.

mod written;

use std::cell::Cell;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use testdata::writer;
use walproto::{
    Decoder, ErrorKind, Feedback, Frame, HotStandbyFeedback, Lsn, StatusUpdate, Timestamp, WalData,
};
use written::{Place, Written, kinds};

fn cases(cases: u32) -> Config {
    Config {
        cases,
        // The input is printed when a case fails; what it showed becomes a test of its own.
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn every_kind_of_message_is_read_as_it_was_written() {
    let mut met = String::new();
    for kind in kinds() {
        let mut runner = TestRunner::new(cases(48));
        let input = (kind, any::<Option<u32>>(), any::<u8>(), any::<bool>());
        let tag = Cell::new(0);
        runner
            .run(&input, |(written, block, noise, binary)| {
                // A transaction inside a block, none outside, where the kind allows both.
                let in_block = match written.place() {
                    Place::Inside => true,
                    Place::Outside => false,
                    Place::Both => block.is_some(),
                };
                let xid = if written.carries_xid() { block } else { None };
                let bytes = written.bytes(xid, noise);
                tag.set(bytes[0]);
                let mut decoder = Decoder::new()
                    .parallel(written.is_parallel())
                    .binary(binary || written.has_binary())
                    .inside_block(in_block);
                let decoded = decoder.decode(&bytes).map_err(|error| {
                    TestCaseError::fail(format!("{error}: {}", bytes.escape_ascii()))
                })?;
                prop_assert_eq!(decoded.xid.map(|xid| xid.0), xid);
                prop_assert_eq!(Written::read(&decoded.message), written);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{error}"));
        met.push(char::from(tag.get()));
    }
    assert_eq!(met, "BCORYIUDTMSEcAbPKrp");
}

#[test]
fn blocks_decide_who_carries_a_transaction_and_who_may_stand_there() {
    let message = prop::strategy::Union::new(kinds());
    let stream = vec((message, any::<u32>()), 1..60);
    let (read, refused) = (Cell::new(0), Cell::new(0));
    TestRunner::new(cases(64))
        .run(&stream, |stream| {
            let mut decoder = Decoder::new().binary(true);
            let mut in_block = false;
            for (written, xid) in stream {
                if written.is_parallel() {
                    continue;
                }
                let xid = (in_block && written.carries_xid()).then_some(xid);
                let bytes = written.bytes(xid, 0);
                let expected = match (written.place(), in_block) {
                    (Place::Inside, false) => Some(ErrorKind::OutsideBlock),
                    (Place::Outside, true) => Some(ErrorKind::InsideBlock),
                    _ => None,
                };
                match (decoder.decode(&bytes), expected) {
                    (Ok(decoded), None) => {
                        prop_assert_eq!(Written::read(&decoded.message), written.clone());
                        prop_assert_eq!(decoded.xid.map(|xid| xid.0), xid);
                        in_block = match bytes.first() {
                            Some(b'S') => true,
                            Some(b'E') => false,
                            _ => in_block,
                        };
                        read.set(read.get() + 1);
                    }
                    (Err(error), Some(kind)) => {
                        prop_assert_eq!(error.kind, kind);
                        refused.set(refused.get() + 1);
                    }
                    (result, expected) => {
                        return Err(TestCaseError::fail(format!("{result:?}, not {expected:?}")));
                    }
                }
                prop_assert_eq!(decoder.in_block(), in_block);
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        read.get() > 100 && refused.get() > 100,
        "{read:?} read, {refused:?} refused"
    );
}

fn decoder() -> impl Strategy<Value = Decoder> {
    any::<(bool, bool, bool)>().prop_map(|(parallel, binary, in_block)| {
        Decoder::new()
            .parallel(parallel)
            .binary(binary)
            .inside_block(in_block)
    })
}

/// Bytes that begin like a message more often than not.
fn almost_a_message() -> impl Strategy<Value = Vec<u8>> {
    let tag = prop::sample::select(&b"BCORYIUDTMSEcAbPKrp"[..]);
    let byte = prop_oneof![
        3 => Just(0),
        2 => prop::sample::select(&b"NKOnutbdfi\x01\x02\x04"[..]),
        1 => any::<u8>(),
    ];
    (tag, vec(byte, 0..80)).prop_map(|(tag, mut bytes)| {
        bytes.insert(0, tag);
        bytes
    })
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic_and_an_error_moves_nothing(
        before in decoder(),
        bytes in prop_oneof![vec(any::<u8>(), 0..80), almost_a_message()],
    ) {
        let mut after = before;
        if let Err(error) = after.decode(&bytes) {
            prop_assert_eq!(after, before);
            prop_assert!(error.offset as usize <= bytes.len());
            prop_assert_eq!(error.tag, bytes.first().copied().unwrap_or(0));
            prop_assert!(!error.to_string().is_empty());
        }
        if let Err(error) = Frame::parse(&bytes) {
            prop_assert!(error.offset as usize <= bytes.len());
        }
        if let Err(error) = Feedback::parse(&bytes) {
            prop_assert!(error.offset as usize <= bytes.len());
        }
    }

    #[test]
    fn a_frame_is_read_as_it_was_written(
        (start, end, time, byte) in any::<(u64, u64, i64, u8)>(),
        data in vec(any::<u8>(), 0..40),
    ) {
        let bytes = writer::wal_data(start, end, time, &data);
        let wal = WalData { start: Lsn(start), end: Lsn(end), sent_at: Timestamp(time), data: &data };
        prop_assert_eq!(Frame::parse(&bytes), Ok(Frame::WalData(wal)));

        let bytes = writer::keepalive(end, time, byte);
        let Ok(Frame::Keepalive(keepalive)) = Frame::parse(&bytes) else {
            return Err(TestCaseError::fail("not a keepalive"));
        };
        prop_assert_eq!(keepalive.wal_end, Lsn(end));
        prop_assert_eq!(keepalive.sent_at, Timestamp(time));
        prop_assert_eq!(keepalive.reply_requested, byte != 0);
    }

    #[test]
    fn what_a_client_sends_is_what_the_writer_writes(
        (written, flushed, applied, time, reply) in any::<(u64, u64, u64, i64, bool)>(),
        (xmin, xmin_epoch, catalog_xmin, catalog_xmin_epoch) in any::<(u32, u32, u32, u32)>(),
    ) {
        let update = StatusUpdate {
            written: Lsn(written),
            flushed: Lsn(flushed),
            applied: Lsn(applied),
            sent_at: Timestamp(time),
            reply_requested: reply,
        };
        let expected = writer::status_update(written, flushed, applied, time, reply);
        prop_assert_eq!(&update.encode()[..], &expected[..]);
        prop_assert_eq!(Feedback::parse(&expected), Ok(Feedback::StatusUpdate(update)));

        let feedback = HotStandbyFeedback {
            sent_at: Timestamp(time),
            xmin,
            xmin_epoch,
            catalog_xmin,
            catalog_xmin_epoch,
        };
        let expected =
            writer::hot_standby_feedback(time, xmin, xmin_epoch, catalog_xmin, catalog_xmin_epoch);
        prop_assert_eq!(&feedback.encode()[..], &expected[..]);
        prop_assert_eq!(Feedback::parse(&expected), Ok(Feedback::HotStandby(feedback)));
    }

    #[test]
    fn a_position_is_read_as_it_was_printed(lsn in any::<u64>(), text in ".{0,20}") {
        prop_assert_eq!(Lsn(lsn).to_string().parse(), Ok(Lsn(lsn)));
        // As server 19 prints it.
        let padded = format!("{:X}/{:08X}", lsn >> 32, lsn & 0xFFFF_FFFF);
        prop_assert_eq!(padded.parse(), Ok(Lsn(lsn)));
        let _ = text.parse::<Lsn>();
    }
}
