//! What fuzzing begins with: the captures, cut into inputs for each target.

use std::collections::HashSet;
use std::fs;

use testdata::capture::{Capture, Streaming, captures};
use walproto::{Column, Decoder, HotStandbyFeedback, Message, StatusUpdate};

/// At most so many inputs for a target from one capture: the fuzzer reads them all before it starts.
const FROM_ONE_CAPTURE: usize = 60;

/// The targets that read one value.
const VALUES: [&str; 5] = ["moments", "nested", "network", "numbers", "strings"];

/// Inputs by target, each only once, in the order of the captures.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Seeds::default();
    // What clients answer is in no capture.
    seeds.add("frames", [StatusUpdate::default().encode().to_vec()]);
    seeds.add("frames", [HotStandbyFeedback::default().encode().to_vec()]);
    for golden in captures() {
        let file = fs::read(&golden.path).expect("a capture can be read");
        seeds.add("capture", [file]);
        let capture = golden.capture();
        let parallel = capture.header.streaming == Streaming::Parallel;
        let binary = capture.header.binary;
        seeds.add(
            "decode",
            [crate::session(parallel, binary, capture.messages())],
        );
        seeds.add("frames", capture.frames.iter().cloned());
        if !parallel && !binary {
            seeds.stream(&capture);
        }
        seeds.rows(&capture, parallel, binary);
    }
    seeds.all
}

#[derive(Default)]
struct Seeds {
    seen: HashSet<(&'static str, Vec<u8>)>,
    all: Vec<(&'static str, Vec<u8>)>,
}

impl Seeds {
    fn add(&mut self, target: &'static str, inputs: impl IntoIterator<Item = Vec<u8>>) {
        let new = inputs
            .into_iter()
            .filter(|input| self.seen.insert((target, input.clone())))
            .take(FROM_ONE_CAPTURE)
            .map(|input| (target, input));
        self.all.extend(new.collect::<Vec<_>>());
    }

    /// From the beginning, and what servers say behind it: an end, an error, parameters. Each in another way of handing
    /// things over, which the length of the first cut says.
    fn stream(&mut self, capture: &Capture) {
        let whole = |first: u8| {
            let mut input = crate::connection(capture.frames.iter().map(Vec::as_slice));
            input[1] = first;
            input
        };
        let behind: [&[u8]; 4] = [
            b"",
            b"C\0\0\0\x0bCOPY 0\0",
            b"N\0\0\0\x14SNOTICE\0C00000\0\0S\0\0\0\x08a\0b\0E\0\0\0\x0cC57P01\0\0",
            b"R\0\0\0\x08\0\0\0\0",
        ];
        let ways = (4..).zip(behind);
        self.add("stream", ways.map(|(way, end)| [&whole(way), end].concat()));
    }

    fn rows(&mut self, capture: &Capture, parallel: bool, binary: bool) {
        let mut decoder = Decoder::new().parallel(parallel).binary(binary);
        for bytes in capture.messages() {
            let decoded = decoder.decode(bytes).expect("a capture can be decoded");
            let Message::Insert(insert) = decoded.message else {
                continue;
            };
            // Behind the type, the table and the mark, or the transaction too.
            let head = if decoded.xid.is_some() { 10 } else { 6 };
            let row = &bytes[head..];
            self.add("tuple", [row.to_vec()]);
            self.add("rows", [[&[u8::from(binary)], row].concat()]);
            for column in insert.new.columns() {
                self.column(column);
            }
        }
    }

    /// Every value is tried as every type, so each target of values starts with all that fit it.
    fn column(&mut self, column: Column<'_>) {
        let Some(bytes) = column.as_bytes() else {
            return;
        };
        // Long ones are text that no reader looks into.
        if bytes.len() > 400 {
            return;
        }
        for target in VALUES {
            self.add(target, [bytes.to_vec()]);
        }
    }
}
