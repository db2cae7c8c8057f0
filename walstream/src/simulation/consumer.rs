//! The consumer: takes, stores, confirms and crashes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testdata::random::Random;
use walproto::{Decoder, Lsn};

use super::case::{Case, Habits};
use super::judge::{Judge, Taken};
use super::server::{Script, connect};
use super::world::World;
use crate::event::Event;
use crate::limits::Limits;
use crate::progress::Token;
use crate::stream::{Linked, Stream};

/// The server's timeout.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Consumes until everything is delivered, through all crashes.
pub(super) async fn consume(case: &Case, world: &Arc<Mutex<World>>) -> Result<(), String> {
    let mut random = Random::new(case.seed.wrapping_mul(0x51_7C_C1).wrapping_add(1));
    let mut position = 0;
    let mut crashes = case.crashes.iter();
    loop {
        let crash = crashes.next().copied();
        let mut life = Life::begin(case, world, position);
        if life.live(&mut random, crash).await? {
            return life.end().await;
        }
        position = life.position;
        life.met("consumer: crashes");
    }
}

/// From a start to the next crash.
struct Life<'a> {
    habits: Habits,
    world: &'a Arc<Mutex<World>>,
    stream: Stream,
    judge: Judge<'a>,
    /// What is stored counts up to here, if it stores that.
    position: u64,
    /// Received and not stored.
    received: Vec<(Taken, Token)>,
    /// Stored and not confirmed.
    stored: Vec<Token>,
}

impl<'a> Life<'a> {
    fn begin(case: &Case, world: &'a Arc<Mutex<World>>, position: u64) -> Self {
        let (channel, slot) = connect(world);
        let mut shared = world.lock().unwrap();
        shared.confirmed = (!case.habits.plain).then(BTreeSet::new);
        shared.at_end = false;
        let written = shared.written;
        drop(shared);
        let reached = Lsn(position).max(slot);
        let decoder = Decoder::new().parallel(case.options.parallel);
        let limits = Limits {
            memory: case.memory,
            ..Limits::default()
        };
        let delivery = case.delivery();
        let link = Some(Linked {
            link: Some(Script::new(world)),
            reached,
            written: Lsn(written),
        });
        Self {
            habits: case.habits,
            world,
            stream: Stream::linked(channel, TIMEOUT, decoder, limits, delivery, link),
            judge: Judge::new(world, delivery, slot, reached),
            position,
            received: Vec::new(),
            stored: Vec::new(),
        }
    }

    fn met(&self, name: &'static str) {
        self.world.lock().unwrap().counts.met(name);
    }

    fn log(&self, event: &Event) {
        let mut world = self.world.lock().unwrap();
        world.log(|| format!("    the consumer gets {}", brief(event)));
    }

    /// Whether it came to the end of all, and not to its own.
    async fn live(&mut self, random: &mut Random, crash: Option<u64>) -> Result<bool, String> {
        // Nothing comes any more.
        const QUIET: Duration = Duration::from_secs(1);
        let finished = Arc::clone(&self.world.lock().unwrap().finished);
        let mut quiet = 0;
        let mut left = crash;
        loop {
            if left == Some(0) {
                return Ok(false);
            }
            let event = tokio::select! {
                biased;
                event = tokio::time::timeout(QUIET, self.take(random)) => event,
                () = finished.notified() => {
                    self.judge.is_complete()?;
                    return Ok(true);
                }
            };
            match event {
                Ok(Err(error)) => return Err(error.to_string()),
                Ok(Ok(None)) => {
                    self.met("the stream ends where it is to end");
                    self.judge.is_ended()?;
                    return Ok(true);
                }
                Ok(Ok(Some(event))) => {
                    quiet = 0;
                    self.log(&event);
                    left = left.map(|left| left - 1);
                    let walks = random.chance(self.habits.walks);
                    let taken = self.judge.event(event, walks)?;
                    self.received.extend(taken);
                    self.go_on(random);
                    if random.chance(self.habits.naps) {
                        tokio::time::sleep(Duration::from_millis(random.below(30))).await;
                    }
                }
                Err(_) => {
                    self.store(usize::MAX, random);
                    self.confirm(usize::MAX, random);
                    quiet += 1;
                    if quiet > 5 && self.world.lock().unwrap().at_end {
                        self.met("the consumer hears nothing more");
                        return self.judge.is_complete().map(|()| true);
                    }
                }
            }
        }
    }

    /// One event, or transaction where nothing else is wanted.
    async fn take(&mut self, random: &mut Random) -> Result<Option<Event>, crate::Error> {
        if !self.habits.plain {
            return self.stream.next_event().await;
        }
        if random.chance(20)
            && let Some(transaction) = self.stream.try_transaction()
        {
            return Ok(Some(Event::Transaction(transaction)));
        }
        let next = self.stream.next().await?;
        Ok(next.map(Event::Transaction))
    }

    /// Stores and confirms some of what there is.
    fn go_on(&mut self, random: &mut Random) {
        if random.chance(self.habits.storing) {
            let most = usize::try_from(1 + random.below(8)).expect("small");
            self.store(most, random);
        }
        if random.chance(self.habits.confirming) {
            let most = usize::try_from(1 + random.below(8)).expect("small");
            self.confirm(most, random);
        }
    }

    /// Makes durable: in order with the position, or each for itself.
    fn store(&mut self, most: usize, random: &mut Random) {
        let mut world = self.world.lock().unwrap();
        for _ in 0..most.min(self.received.len()) {
            let at = if self.habits.stores {
                0
            } else {
                usize::try_from(random.below(self.received.len() as u64)).expect("an index")
            };
            let (taken, token) = self.received.remove(at);
            world.durable.extend(taken.due);
            if self.habits.stores {
                self.position = self.position.max(taken.position);
            }
            self.stored.push(token);
        }
    }

    fn confirm(&mut self, most: usize, random: &mut Random) {
        let mut world = self.world.lock().unwrap();
        for _ in 0..most.min(self.stored.len()) {
            let at = if self.habits.in_order {
                0
            } else {
                usize::try_from(random.below(self.stored.len() as u64)).expect("an index")
            };
            if at > 0 {
                world.counts.met("confirmed: out of order");
            }
            let token = self.stored.remove(at);
            if let Some(confirmed) = &mut world.confirmed {
                confirmed.insert(token.lsn().0);
            }
            token.confirm();
        }
    }

    /// Ends the stream properly.
    async fn end(mut self) -> Result<(), String> {
        let mut none = Random::new(0);
        self.store(usize::MAX, &mut none);
        self.confirm(usize::MAX, &mut none);
        let wanted = self.judge.last();
        let Self { stream, world, .. } = self;
        let end = stream.finish().await;
        let mut world = world.lock().unwrap();
        match end {
            Ok(()) => world.counts.met("finish: properly"),
            Err(error) if error.is_disconnect() => {
                world.counts.met("finish: the connection is lost");
                return Ok(());
            }
            Err(error) => return Err(format!("the end: {error}")),
        }
        if let Some(wanted) = wanted
            && world.slot < wanted
        {
            return Err(format!(
                "everything is confirmed up to {wanted:X}, and the slot is at {:X}",
                world.slot
            ));
        }
        Ok(())
    }
}

/// An event in a few words.
fn brief(event: &Event) -> String {
    match event {
        Event::Transaction(it) => format!("transaction {} of {}", it.xid(), it.commit_lsn()),
        Event::Message(it) => format!("message {}", it.lsn()),
        Event::Idle(it) => format!("idle {}", it.lsn()),
        Event::Prepared(it) => format!("prepared {:?}", it.id()),
        Event::StreamChunk(it) => format!("chunk of {}, first: {}", it.xid(), it.is_first()),
        Event::StreamCommit(it) => format!("commit of {} at {}", it.xid(), it.commit_lsn()),
        Event::StreamPrepare(it) => format!("prepare of {:?}", it.id()),
        Event::CommitPrepared(it) => format!("commit prepared at {}", it.commit_lsn()),
        Event::RollbackPrepared(it) => format!("rollback of {:?}", it.id()),
        Event::StreamAbort(it) => format!("{it:?}"),
        Event::Reconnected(_) => "reconnected".to_owned(),
    }
}
