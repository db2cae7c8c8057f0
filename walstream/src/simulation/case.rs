//! One run: all that a seed decides.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testdata::random::Random;
use testdata::story::{Kind, Shape, Story, Wal};
use testdata::walsender::Options;
use walproto::Lsn;

use super::consumer;
use super::counts::Counts;
use super::world::World;
use crate::delivery::{Delivery, PreparedDelivery, StreamedDelivery};

/// All that a seed decides. Parts of it can be left out, and the rest stays as it is.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) story: Story,
    /// With values that are larger than what is kept in memory.
    pub(super) heavy: bool,
    /// Where the WAL begins.
    pub(super) base: u64,
    /// Which part of the WAL the slot has behind it when it all begins, of 65536.
    pub(super) begun: u64,
    pub(super) options: Options,
    /// Whether the slot is one for two phases.
    pub(super) two_phase: bool,
    pub(super) prepared: PreparedDelivery,
    pub(super) streamed: StreamedDelivery,
    /// Behind which part of the WAL the stream ends, of 65536, and how many bytes further.
    pub(super) until: Option<(u64, u64)>,
    /// Which part of the WAL is there when a stream begins.
    pub(super) written: u64,
    /// The first connection ends like the first of these, and so on; one without ends when all is done.
    pub(super) losses: Vec<Loss>,
    /// The consumer crashes after so many events, and again after so many more.
    pub(super) crashes: Vec<u64>,
    pub(super) habits: Habits,
    /// Bytes in memory.
    pub(super) memory: u64,
    /// A failure says what happened before it.
    pub(super) traced: bool,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// Behind which part of all frames, of 65536.
    pub(super) part: u64,
    pub(super) how: How,
    /// Attempts to connect that fail afterwards.
    pub(super) failures: u32,
    /// The server forgets what it was told last.
    pub(super) forgets: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Between two frames.
    Between,
    /// Within a frame, behind this part of it, of 256.
    Within(u64),
    /// The server says why.
    Reported,
    /// The server ends the stream.
    Ended,
}

/// What the consumer is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// It stores its position, and starts from it; otherwise it goes by the slot.
    pub(super) stores: bool,
    /// It takes transactions only.
    pub(super) plain: bool,
    /// How often of a hundred times it looks at the changes.
    pub(super) walks: u64,
    /// How often of a hundred times it stores what it has after an event.
    pub(super) storing: u64,
    /// How often of a hundred times it confirms something of what is stored after an event, and in order or not.
    pub(super) confirming: u64,
    pub(super) in_order: bool,
    /// How often of a hundred times it takes a nap.
    pub(super) naps: u64,
}

impl Case {
    pub(super) fn of(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let random = &mut random;
        let shape = Shape {
            steps: 10 + random.below(random.clone().pick(&[20, 60, 120])),
            open: 1 + random.below(6),
            prepares: random.chance(55),
            undecided: random.chance(10),
        };
        let streaming = random.chance(75);
        let plain = random.chance(15);
        let options = Options {
            streaming,
            parallel: streaming && random.chance(50),
            messages: !plain && random.chance(70),
            two_phase_at: None,
            empty: random.chance(30),
            eager: random.pick(&[5, 20, 60]),
            again: random.chance(20),
        };
        let losses = (0..random.pick(&[0, 1, 1, 2, 3, 6])).map(|_| Loss {
            part: random.below(65536),
            how: match random.below(10) {
                0..4 => How::Between,
                4..8 => How::Within(random.below(256)),
                8 => How::Reported,
                _ => How::Ended,
            },
            failures: random.pick(&[0, 0, 0, 1, 3]),
            forgets: random.chance(30),
        });
        let losses = losses.collect();
        let crashes = (0..random.pick(&[0, 0, 0, 1, 2])).map(|_| random.below(30));
        let crashes = crashes.collect();
        Self {
            seed,
            story: Story::random(random, &shape),
            heavy: random.chance(2),
            base: random.pick(&[0x0150_0000, 0xFFFF_FF00, 0x7_FFFF_FC00]),
            begun: if random.chance(60) {
                0
            } else {
                random.below(40_000)
            },
            options,
            two_phase: shape.prepares && random.chance(80),
            prepared: if plain || random.chance(50) {
                PreparedDelivery::AtCommit
            } else {
                PreparedDelivery::AtPrepare
            },
            streamed: if plain || random.chance(50) {
                StreamedDelivery::AtCommit
            } else {
                StreamedDelivery::AsReceived
            },
            written: random.pick(&[65536, 65536, 30_000, 0]),
            until: random
                .chance(15)
                .then(|| (random.below(65536), random.pick(&[0, 0, 1, 8]))),
            losses,
            crashes,
            habits: Habits {
                stores: !plain && random.chance(60),
                plain,
                walks: random.pick(&[100, 90]),
                storing: random.pick(&[100, 50, 10]),
                confirming: random.pick(&[100, 60, 15]),
                in_order: random.chance(40),
                naps: random.pick(&[0, 20, 60]),
            },
            memory: random.pick(&[1, 300, 2000, 1 << 20]),
            traced: false,
        }
    }

    /// A place behind this part of the WAL, of 65536, and so many bytes further.
    pub(super) fn place(wal: &Wal, part: u64, more: u64) -> u64 {
        let at = usize::try_from(part * wal.records.len() as u64 / 65536).expect("an index");
        let place = wal.records.get(at).map(|record| record.start + more);
        place.map_or(wal.end, |place| place.min(wal.end))
    }

    pub(super) fn delivery(&self) -> Delivery {
        let until = self.until.map(|(part, more)| {
            let wal = Wal::of(&self.story, self.base, self.heavy);
            Lsn(Self::place(&wal, part, more))
        });
        Delivery {
            prepared: self.prepared,
            streamed: self.streamed,
            until,
        }
    }

    /// How many frames the first connection has, if it does not break.
    pub(super) fn frames(&self) -> u64 {
        let wal = Arc::new(Wal::of(&self.story, self.base, self.heavy));
        World::new(self, wal).frames(0).len() as u64
    }

    /// Runs it; what was met, or what went wrong.
    pub(super) fn run(&self) -> Result<Counts, String> {
        // Nothing takes longer than this in the time of the simulation.
        const PATIENCE: Duration = Duration::from_secs(600);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        let wal = Arc::new(Wal::of(&self.story, self.base, self.heavy));
        let world = Arc::new(Mutex::new(World::new(self, wal)));
        let outcome = runtime.block_on(async {
            tokio::time::timeout(PATIENCE, consumer::consume(self, &world)).await
        });
        drop(runtime);
        let mut world = world.lock().unwrap();
        let wrong = match (world.wrong.take(), outcome) {
            (Some(wrong), _) | (None, Ok(Err(wrong))) => wrong,
            (None, Err(_)) => "it never came to an end".to_owned(),
            (None, Ok(Ok(()))) => return Ok(std::mem::take(&mut world.counts)),
        };
        match world.log.take() {
            None => Err(wrong),
            Some(log) => Err(format!("{wrong}\n{}", log.join("\n"))),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the slot begins behind {}/65536 of the WAL{}{}, {} bytes in memory",
            self.begun,
            if self.two_phase {
                " and has two phases"
            } else {
                ""
            },
            if self.heavy { ", values are large" } else { "" },
            self.memory
        )?;
        writeln!(f, "{:?}", self.options)?;
        writeln!(f, "{:?}", self.delivery())?;
        writeln!(f, "{:?}", self.habits)?;
        for loss in &self.losses {
            writeln!(f, "{loss:?}")?;
        }
        if !self.crashes.is_empty() {
            writeln!(f, "the consumer crashes after events: {:?}", self.crashes)?;
        }
        let wal = Wal::of(&self.story, self.base, false);
        let mut records = wal.records.iter().peekable();
        for step in &self.story.steps {
            // Steps that did something are records, and savepoints.
            match records.peek() {
                Some(record) if record.id == step.id => {
                    write!(f, "  {step}: {:X}", record.start)?;
                    match (wal.transactions.get(&record.transaction), &record.kind) {
                        (_, Kind::Change(row)) => writeln!(f, ", xid {}", row.xid)?,
                        (_, Kind::Undo(xids)) => writeln!(f, ", xids {xids:?}")?,
                        (Some(it), Kind::Prepare | Kind::Commit | Kind::Abort) => {
                            writeln!(f, ", xid {}", it.xid)?;
                        }
                        _ => writeln!(f)?,
                    }
                    records.next();
                }
                _ => writeln!(f, "  {step}")?,
            }
        }
        Ok(())
    }
}
