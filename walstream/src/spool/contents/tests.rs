//! What was put in comes out, wherever it lay; and what did not come out as it was is an error.

use std::path::PathBuf;

use super::*;
use crate::limits::Compression;
use crate::spool::PIECE;

/// Of a message of three bytes.
const ENTRY: u64 = 15;
const HEADER: u64 = 16;

fn contents(path: impl Into<PathBuf>, compression: Compression) -> (Arc<Usage>, Contents) {
    let usage = Arc::<Usage>::default();
    let folder = Arc::new(Folder {
        path: path.into(),
        compression,
    });
    (Arc::clone(&usage), Contents::new(usage, folder))
}

fn all(contents: &mut Contents) -> Vec<(u64, Vec<u8>)> {
    let mut messages = contents.read().unwrap();
    let mut all = Vec::new();
    while let Some(lsn) = messages.advance().unwrap() {
        all.push((lsn.0, messages.current().to_vec()));
    }
    all
}

#[test]
fn messages_come_back_in_order_wherever_they_lie() {
    for compression in [Compression::None, Compression::Lz4] {
        let (usage, mut contents) = contents(std::env::temp_dir(), compression);
        let mut expected = Vec::new();
        let mut bytes = 0;
        for number in 0..3000_u64 {
            // Some larger than a piece, some empty.
            let times = match number {
                900 | 901 | 2500 => 100_000,
                _ => usize::try_from(number % 200).unwrap(),
            };
            let message = number.to_string().repeat(times);
            contents.push(Lsn(number), message.as_bytes()).unwrap();
            bytes += 12 + message.len() as u64;
            expected.push((number, message.into_bytes()));
            if number == 100 {
                assert_eq!(all(&mut contents), expected, "all in memory");
                contents.spill().unwrap();
                assert_eq!(all(&mut contents), expected, "all in the file");
            }
        }
        assert!(usage.disk() > 0 && contents.in_memory() > 0);
        assert!(contents.in_memory() < PIECE, "pieces follow into the file");
        assert_eq!(usage.memory(), contents.in_memory() as u64);
        assert_eq!(contents.len(), bytes, "however it is stored");
        let compressed = usage.disk() < bytes / 5;
        assert_eq!(compressed, compression == Compression::Lz4);
        assert_eq!(all(&mut contents), expected);
        assert_eq!(
            all(&mut contents),
            expected,
            "reading again begins at the beginning"
        );
    }
}

#[test]
fn usage_is_given_back() {
    let (usage, mut contents) = contents(std::env::temp_dir(), Compression::None);
    contents.push(Lsn(1), b"one").unwrap();
    assert_eq!((usage.memory(), usage.disk()), (ENTRY, 0));
    contents.spill().unwrap();
    assert_eq!((usage.memory(), usage.disk()), (0, HEADER + ENTRY));
    contents.spill().unwrap();
    assert_eq!(usage.disk(), HEADER + ENTRY, "nothing is no piece");
    contents.push(Lsn(2), b"two").unwrap();
    assert_eq!((usage.memory(), usage.disk()), (ENTRY, HEADER + ENTRY));
    drop(contents);
    assert_eq!((usage.memory(), usage.disk()), (0, 0));
}

#[test]
fn memory_that_is_held_is_hardly_more_than_what_is_counted() {
    let (_, mut contents) = contents(std::env::temp_dir(), Compression::None);
    for number in 0..20_000 {
        contents.push(Lsn(number), &[7; 100]).unwrap();
    }
    let held = contents.pieces.iter().chain([&contents.last]);
    let held: usize = held.map(Vec::capacity).sum();
    assert!(held - contents.in_memory() < 2 * PIECE, "{held}");
    contents.spill().unwrap();
    assert_eq!(
        contents.last.capacity(),
        0,
        "an open transaction keeps none"
    );
}

#[test]
fn a_folder_that_is_not_there_is_an_error_about_the_folder() {
    let (_, mut contents) = contents("/nonexistent/folder", Compression::None);
    contents.push(Lsn(1), b"one").unwrap();
    let fault = contents.spill().unwrap_err();
    assert!(fault.is_folder(), "{fault}");
    assert!(fault.to_string().contains("in /nonexistent/folder"));
}

#[test]
fn a_full_disk_is_an_error_that_says_what_helps() {
    let (usage, mut contents) = contents("/dev/full", Compression::None);
    usage.take_disk(1234);
    contents.push(Lsn(1), b"one").unwrap();
    let fault = contents.spill().unwrap_err();
    assert!(!fault.is_folder());
    let error = crate::error::Error::spool(fault);
    let text = error.with_sources();
    for part in [
        "a file of the spool in /dev/full cannot be written",
        "the spool holds 1234 bytes",
        "No space left on device",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let hint = error.hint().unwrap();
    for part in ["Free room", "Limits::folder", "Limits::spool"] {
        assert!(hint.contains(part), "{part} in {hint}");
    }
    assert_eq!(usage.disk(), 1234, "what was not written holds nothing");
    drop(contents);
    assert_eq!(usage.memory(), 0);
}

/// In the middle of the second piece, and of its header.
#[test]
fn a_flipped_bit_is_an_error_with_its_place_and_never_another_row() {
    for compression in [Compression::None, Compression::Lz4] {
        for place in [3, 10, 100] {
            let (_, mut contents) = contents(std::env::temp_dir(), compression);
            contents.push(Lsn(1), &[b'a'; 500]).unwrap();
            contents.spill().unwrap();
            let second = contents.file.as_ref().unwrap().len();
            let row: Vec<u8> = (0..=255).collect();
            contents.push(Lsn(2), &row).unwrap();
            contents.spill().unwrap();
            contents.file.as_ref().unwrap().flip(second + place);
            let mut messages = contents.read().unwrap();
            assert_eq!(messages.advance().unwrap(), Some(Lsn(1)));
            assert_eq!(messages.current(), [b'a'; 500]);
            let error = crate::error::Error::spool(messages.advance().unwrap_err());
            let text = error.with_sources();
            let place = format!("of the piece at byte {second} of its file");
            assert!(text.contains(&place) && text.contains("expected"), "{text}");
            assert!(text.contains("is damaged"), "{text}");
            assert!(error.hint().unwrap().contains("Start again"));
        }
    }
}
