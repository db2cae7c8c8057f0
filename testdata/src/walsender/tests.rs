//! Whether what is sent is what a server may send, by the tags and positions alone.

use std::collections::HashSet;

use super::*;
use crate::random::Random;
use crate::story::{Shape, Story};

/// Where a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Outside,
    Transaction,
    Prepare,
    Block(u32),
}

struct Reader {
    place: Place,
    /// Streamed transactions that have begun and not ended.
    open: HashSet<u32>,
    /// The last end of a commit, and the last position in a keepalive.
    ended: u64,
    idle: u64,
}

impl Reader {
    fn frame(&mut self, frame: &[u8]) {
        match frame[5] {
            b'k' => self.idle = self.idle.max(long(frame, 6)),
            b'w' => self.message(&frame[5 + 25..]),
            other => panic!("a frame {other}"),
        }
    }

    fn message(&mut self, message: &[u8]) {
        use Place::{Block, Outside, Prepare, Transaction};
        let xid = || short(message, 1);
        let in_block = matches!(self.place, Block(_));
        self.place = match (message[0], self.place) {
            (b'B', Outside) => Transaction,
            (b'C', Transaction) => {
                self.commit(long(message, 10));
                Outside
            }
            (b'b', Outside) => Prepare,
            (b'P', Prepare) => Outside,
            (b'S', Outside) => {
                let known = !self.open.insert(xid());
                assert!(message[5] == 1 || known, "{} goes on", xid());
                Block(xid())
            }
            (b'E', Block(_)) => Outside,
            (b'c', Outside) => {
                assert!(self.open.remove(&xid()), "{} commits", xid());
                self.commit(long(message, 14));
                Outside
            }
            (b'p', Outside) => {
                assert!(self.open.remove(&short(message, 26)), "it is prepared");
                Outside
            }
            (b'K', Outside) => {
                self.commit(long(message, 10));
                Outside
            }
            (b'A', Outside) => {
                if xid() == short(message, 5) {
                    self.open.remove(&xid());
                }
                Outside
            }
            (b'r', Outside) => Outside,
            (b'M', place) => {
                let flags = message[if in_block { 5 } else { 1 }];
                assert_eq!(flags == 0, place == Outside, "{message:?} in {place:?}");
                place
            }
            (b'O' | b'R' | b'Y' | b'I' | b'U' | b'D' | b'T', Transaction | Prepare | Block(_)) => {
                self.place
            }
            (tag, place) => panic!("{} in {place:?}", char::from(tag)),
        };
    }

    fn commit(&mut self, end: u64) {
        assert!(end > self.ended, "commits come in their order");
        assert!(end > self.idle, "a keepalive counts what was sent");
        self.ended = end;
    }
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(*bytes[at..].first_chunk().unwrap())
}

fn short(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(*bytes[at..].first_chunk().unwrap())
}

#[test]
fn what_is_sent_is_legal_from_wherever_it_starts() {
    for seed in 0..500 {
        let mut random = Random::new(seed);
        let shape = Shape {
            steps: 80,
            open: 5,
            prepares: true,
            undecided: seed % 2 == 0,
        };
        let story = Story::random(&mut random, &shape);
        let wal = Wal::of(&story, 1000, false);
        let from = usize::try_from(random.below(wal.records.len() as u64)).unwrap();
        let start = wal.records[from].start;
        let options = Options {
            streaming: random.chance(70),
            parallel: random.chance(50),
            messages: true,
            two_phase_at: random.chance(60).then_some(start),
            empty: random.chance(50),
            eager: 30,
            again: random.chance(50),
        };
        let mut reader = Reader {
            place: Place::Outside,
            open: HashSet::new(),
            ended: 0,
            idle: 0,
        };
        for frame in frames(&wal, options, start, seed) {
            reader.frame(&frame.bytes);
        }
        assert_eq!(reader.place, Place::Outside);
    }
}

#[test]
fn a_later_start_leaves_out_what_committed_before() {
    let mut random = Random::new(7);
    let shape = Shape {
        steps: 200,
        open: 5,
        prepares: false,
        undecided: false,
    };
    let story = Story::random(&mut random, &shape);
    let wal = Wal::of(&story, 1000, false);
    let options = Options {
        streaming: false,
        parallel: false,
        messages: true,
        two_phase_at: None,
        empty: true,
        eager: 0,
        again: false,
    };
    let commits = |start| {
        let frames = frames(&wal, options, start, 3);
        frames.iter().filter_map(|it| it.ends).collect::<Vec<_>>()
    };
    let all = commits(wal.start);
    for record in &wal.records {
        let mut later = all.clone();
        later.retain(|at| wal.records[*at].start >= record.start);
        assert_eq!(commits(record.start), later, "from {}", record.start);
    }
}
