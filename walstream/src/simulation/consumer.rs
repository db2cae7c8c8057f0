//! The consumer: takes, stores, confirms, crashes, and holds what it gets against the story.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testdata::random::Random;
use testdata::story::{Item, Wal};
use walproto::{Decoder, Lsn};

use super::case::{Case, Habits};
use super::compare;
use super::expected::is_needed;
use super::server::{Script, World, connect};
use crate::delivery::Delivery;
use crate::event::Event;
use crate::limits::Limits;
use crate::progress::Token;
use crate::stream::Stream;
use crate::transaction::Transaction;

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
    wal: Arc<Wal>,
    stream: Stream,
    /// What is to be delivered, and how much of it was.
    items: Vec<(usize, Item)>,
    next: usize,
    /// Where the slot was at the beginning.
    slot: u64,
    /// The last message outside transactions.
    message: u64,
    /// What is stored counts up to here, if it stores that.
    position: u64,
    /// Received and not stored: what it is, its position and its token.
    received: Vec<(Option<usize>, u64, Token)>,
    /// Stored and not confirmed.
    stored: Vec<Token>,
    /// The end of the WAL has been seen in an event.
    idle_end: bool,
}

impl<'a> Life<'a> {
    fn begin(case: &Case, world: &'a Arc<Mutex<World>>, position: u64) -> Self {
        let (channel, slot) = connect(world);
        let mut shared = world.lock().unwrap();
        let wal = Arc::clone(&shared.wal);
        shared.confirmed = (!case.habits.plain).then(BTreeSet::new);
        shared.at_end = false;
        let reached = Lsn(position).max(slot);
        let items = shared.items.iter().copied();
        let items = items.filter(|(record, item)| {
            let floor = match item {
                Item::Loose => slot,
                _ => reached,
            };
            wal.records[*record].start >= floor.0
        });
        let items = items.collect();
        drop(shared);
        let decoder = Decoder::new().parallel(case.options.parallel);
        let limits = Limits {
            memory: case.memory,
            ..Limits::default()
        };
        let link = Some((Script::new(world), reached));
        let stream = Stream::linked(channel, TIMEOUT, decoder, limits, Delivery::default(), link);
        Self {
            habits: case.habits,
            world,
            wal,
            stream,
            items,
            next: 0,
            slot: slot.0,
            message: 0,
            position,
            received: Vec::new(),
            stored: Vec::new(),
            idle_end: false,
        }
    }

    fn met(&self, name: &'static str) {
        self.world.lock().unwrap().counts.met(name);
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
                    self.is_complete()?;
                    return Ok(true);
                }
            };
            match event {
                Ok(event) => {
                    quiet = 0;
                    left = left.map(|left| left - 1);
                    let event = event.map_err(|error| error.to_string())?;
                    self.handle(event, random)?;
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
                        return self.is_complete().map(|()| true);
                    }
                }
            }
        }
    }

    /// One event, or none where only transactions are wanted and there was none.
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

    fn handle(&mut self, event: Option<Event>, random: &mut Random) -> Result<(), String> {
        match event {
            Some(Event::Transaction(transaction)) => {
                self.met("event: transaction");
                self.transaction(transaction, random)
            }
            Some(Event::Message(message)) => {
                self.met("event: message");
                let lsn = message.lsn().0;
                if lsn <= self.message {
                    return Err(format!("the message at {lsn:X} came again or too late"));
                }
                self.message = lsn;
                let record = self.find_message(lsn)?;
                let text = self.wal.records[record].text();
                if message.prefix() != "out" || message.content() != text.as_bytes() {
                    return Err(format!("the message at {lsn:X} is {message:?}"));
                }
                self.received.push((Some(record), 0, message.into_token()));
                Ok(())
            }
            Some(Event::Idle(idle)) => {
                self.met("event: idle");
                let lsn = idle.lsn().0;
                self.idle_end |= lsn == self.wal.end;
                self.passed(lsn)?;
                self.received.push((None, lsn, idle.into_token()));
                Ok(())
            }
            Some(Event::Reconnected(_)) => {
                self.met("event: reconnected");
                Ok(())
            }
            None => Err("the stream ended".to_owned()),
        }
    }

    fn is_needed(&self, record: usize, item: Item) -> bool {
        let world = self.world.lock().unwrap();
        is_needed(&world.wal, &world.options, record, item)
    }

    /// Everything that ends before an idle position has been delivered.
    fn passed(&self, lsn: u64) -> Result<(), String> {
        for (record, item) in &self.items[self.next..] {
            if self.wal.records[*record].end <= lsn && self.is_needed(*record, *item) {
                let what = compare::describe(&self.wal, *record, *item);
                return Err(format!("idle at {lsn:X}, and {what} was not delivered"));
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> Result<(), String> {
        self.passed(self.wal.end)
    }

    /// Goes to the item that this is, past such as need not be delivered.
    fn find(&mut self, what: impl Fn(&Wal, usize, Item) -> bool) -> Result<usize, String> {
        while let Some((record, item)) = self.items.get(self.next).copied() {
            if what(&self.wal, record, item) {
                self.next += 1;
                return Ok(record);
            }
            if self.is_needed(record, item) {
                return Err(compare::describe(&self.wal, record, item));
            }
            self.next += 1;
        }
        Err("the end".to_owned())
    }

    fn find_message(&mut self, lsn: u64) -> Result<usize, String> {
        let of =
            |wal: &Wal, record: usize, item| item == Item::Loose && wal.records[record].end == lsn;
        if lsn <= self.slot {
            // From before the slot, which went back since.
            let mut records = 0..self.wal.records.len();
            let record = records.find(|record| self.wal.records[*record].end == lsn);
            return record.ok_or_else(|| format!("there is no message at {lsn:X}"));
        }
        self.find(of)
            .map_err(|next| format!("the message at {lsn:X} came in place of {next}"))
    }

    fn transaction(
        &mut self,
        mut transaction: Transaction,
        random: &mut Random,
    ) -> Result<(), String> {
        let commit = transaction.commit_lsn().0;
        let of = |wal: &Wal, record: usize, item| {
            matches!(item, Item::Commit(_)) && wal.records[record].start == commit
        };
        let found = self.find(of).map_err(|next| {
            let xid = transaction.xid();
            format!("transaction {xid} of {commit:X} came in place of {next}")
        })?;
        let number = self.wal.records[found].transaction;
        compare::ends(&self.wal, &transaction, number)?;
        if transaction.is_empty() {
            self.met("event: empty transaction");
        }
        let walks = if random.chance(self.habits.walks) {
            1 + u64::from(random.chance(5))
        } else {
            0
        };
        for _ in 0..walks {
            let world = self.world.lock().unwrap();
            compare::changes(&world, &mut transaction, number).map_err(|what| {
                format!("transaction {} of {commit:X}: {what}", transaction.xid())
            })?;
        }
        let end = transaction.end_lsn().0;
        self.received
            .push((Some(found), end, transaction.into_token()));
        Ok(())
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

    /// Makes durable, with the position or each for itself.
    fn store(&mut self, most: usize, random: &mut Random) {
        let mut world = self.world.lock().unwrap();
        for _ in 0..most.min(self.received.len()) {
            let at = if self.habits.stores {
                0
            } else {
                usize::try_from(random.below(self.received.len() as u64)).expect("an index")
            };
            let (record, position, token) = self.received.remove(at);
            world.durable.extend(record);
            if self.habits.stores {
                self.position = self.position.max(position);
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
        if world.slot != world.wal.end {
            return Err(format!(
                "everything is confirmed up to {:X}, and the slot is at {:X}",
                world.wal.end, world.slot
            ));
        }
        Ok(())
    }
}
