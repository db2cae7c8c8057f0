//! The scripted server: one slot, one WAL, and connections that end where the case says.
//!
//! It holds what it is told against what the consumer has made durable, each time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use testdata::random::Random;
use testdata::story::Wal;
use testdata::walsender::{Frame, Options, copy_data, frames};
use testdata::writer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use walproto::Lsn;

use super::case::{Case, How, Loss};
use super::counts::Counts;
use super::expected::{Due, What, dues};
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::reconnect::{Reconnected, Reconnecting};

/// What the server, the consumer and the judge know.
pub(super) struct World {
    pub(super) wal: Arc<Wal>,
    pub(super) options: Options,
    /// All that is due.
    pub(super) dues: Vec<Due>,
    pub(super) counts: Counts,
    /// What happened, line by line, if somebody wants to read it.
    pub(super) log: Option<Vec<String>>,
    /// The first thing that went wrong.
    pub(super) wrong: Option<String>,
    /// Up to where the slot is confirmed, and was at any time.
    pub(super) slot: u64,
    slots: Vec<u64>,
    /// The slot when everything began.
    pub(super) begun: u64,
    /// What of it the consumer made durable.
    pub(super) durable: BTreeSet<usize>,
    /// Positions that it confirmed since it began; `None` when it leaves that to the stream.
    pub(super) confirmed: Option<BTreeSet<u64>>,
    /// Records whose end was sent on any connection.
    pub(super) sent: BTreeSet<usize>,
    /// What is due before this place was found to be durable when the slot passed them.
    checked: usize,
    connections: u64,
    losses: Vec<Loss>,
    seed: u64,
    /// The stream is to end somewhere.
    ends: bool,
    /// Where the log ended when it all began.
    pub(super) written: u64,
    /// A connection has sent everything.
    pub(super) at_end: bool,
    /// Rings when the slot is at the end.
    pub(super) finished: Arc<Notify>,
}

impl World {
    pub(super) fn new(case: &Case, wal: Arc<Wal>) -> Self {
        let records = wal.records.len() as u64;
        let first = usize::try_from(case.begun * records / 65536).expect("an index");
        let begun = wal.records.get(first).map_or(wal.end, |it| it.start);
        let options = Options {
            two_phase_at: case.two_phase.then_some(begun),
            ..case.options
        };
        Self {
            options,
            dues: dues(&wal, &options, case.prepared),
            counts: Counts::default(),
            log: case.traced.then(Vec::new),
            wrong: None,
            slot: begun,
            slots: vec![begun],
            begun,
            durable: BTreeSet::new(),
            confirmed: None,
            sent: BTreeSet::new(),
            checked: 0,
            connections: 0,
            losses: case.losses.clone(),
            seed: case.seed,
            ends: case.until.is_some(),
            written: Case::place(&wal, case.written, 0),
            at_end: false,
            finished: Arc::default(),
            wal,
        }
    }

    /// Each connection makes other decisions.
    fn salt(&self, connection: u64) -> u64 {
        self.seed.wrapping_mul(1000).wrapping_add(connection * 64)
    }

    /// What a connection that begins now has to send.
    pub(super) fn frames(&self, connection: u64) -> Vec<Frame> {
        frames(&self.wal, self.options, self.slot, self.salt(connection))
    }

    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }

    pub(super) fn log(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    /// A status update came.
    fn hear(&mut self, flushed: u64, before: u64) {
        self.log(|| format!("    the server hears of {flushed:X}"));
        if flushed == 0 {
            return;
        }
        if flushed < before || flushed < self.slot {
            let slot = self.slot;
            self.wrong(format!(
                "{flushed:X} was told after {before:X}, to a slot at {slot:X}"
            ));
        }
        if let Some(confirmed) = &self.confirmed
            && !confirmed.contains(&flushed)
        {
            self.wrong(format!("{flushed:X} was told and never confirmed"));
        }
        while let Some(due) = self.dues.get(self.checked).copied() {
            let start = self.wal.records[due.record].start;
            if start >= flushed {
                break;
            }
            if start >= self.begun && !self.is_durable(self.checked, due) {
                let what = due.what;
                self.wrong(format!(
                    "{flushed:X} was told, and {what:?} at {start:X} is not durable"
                ));
            }
            self.checked += 1;
        }
        if flushed > self.slot {
            self.slot = flushed;
            self.slots.push(flushed);
            self.counts.met("told: a position");
        }
        if flushed == self.wal.end {
            self.finished.notify_one();
        }
    }

    fn is_durable(&self, at: usize, due: Due) -> bool {
        match due.what {
            What::Hold(transaction) => match self.wal.transactions[&transaction].end {
                Some((_, true)) => {
                    let mut dues = self.dues.iter();
                    let end = dues.position(|due| due.what == What::Commit(transaction));
                    end.is_some_and(|end| !self.dues[end].needed || self.durable.contains(&end))
                }
                Some((end, false)) => self.sent.contains(&end),
                None => false,
            },
            _ => !due.needed || self.durable.contains(&at),
        }
    }

    /// The server crashed, and its slot is as it was some time ago.
    fn forget(&mut self, random: &mut Random) {
        let older = random.pick(&self.slots);
        if older < self.slot {
            self.counts.met("slot: back at an older position");
            self.slot = older;
            self.slots.retain(|slot| *slot <= older);
        }
    }
}

/// Opens a connection; the client's end of it.
pub(super) fn connect(shared: &Arc<Mutex<World>>) -> (Channel, Lsn) {
    let (server, client) = UnixStream::pair().expect("there are sockets");
    let mut channel = Channel::from(client);
    channel.set_limit(1 << 30);
    let mut world = shared.lock().unwrap();
    let number = world.connections;
    world.connections += 1;
    let slot = world.slot;
    world.log(|| format!("connection {number} from {slot:X}"));
    let salt = world.salt(number);
    let frames = world.frames(number);
    let loss = usize::try_from(number).expect("few");
    let loss = world.losses.get(loss).copied();
    drop(world);
    let serve = serve(Arc::clone(shared), server, frames, loss, (number, salt));
    tokio::spawn(serve);
    (channel, Lsn(slot))
}

/// Sends, hears, and ends where it has to.
async fn serve(
    shared: Arc<Mutex<World>>,
    mut socket: UnixStream,
    frames: Vec<Frame>,
    loss: Option<Loss>,
    (connection, salt): (u64, u64),
) {
    let mut random = Random::new(salt + 1);
    let mut heard = Heard {
        connection,
        ..Heard::default()
    };
    let last = loss.map_or(frames.len(), |loss| {
        usize::try_from(loss.part * (frames.len() as u64 + 1) / 65536).expect("an index")
    });
    let mut bytes = Vec::new();
    for frame in &frames[..last] {
        bytes.extend_from_slice(&frame.bytes);
        let full = bytes.len() > 60_000;
        if full || random.chance(30) {
            if socket.write_all(&bytes).await.is_err() {
                break;
            }
            bytes.clear();
            heard.take(&shared, &mut socket);
            if full || random.chance(60) {
                tokio::task::yield_now().await;
            }
        }
        let mut world = shared.lock().unwrap();
        world.counts.met(frame.name);
        world.log(|| format!("  sent: {}, up to {:X}", frame.name, frame.sent));
        if let Some(also) = frame.also {
            world.counts.met(also);
        }
        world.sent.extend(frame.ends);
    }
    let lost = loss.map(|loss| {
        let before = last.checked_sub(1).map(|last| &frames[last]);
        ending(loss, before, frames.get(last), &mut bytes)
    });
    let _ = socket.write_all(&bytes).await;
    match (loss, lost) {
        (Some(loss), Some(name)) => {
            for _ in 0..random.below(20) {
                tokio::task::yield_now().await;
            }
            heard.take(&shared, &mut socket);
            let mut world = shared.lock().unwrap();
            world.counts.met(name);
            world.log(|| name.to_owned());
            // Not for who has come since.
            if loss.forgets && connection + 1 == world.connections {
                world.forget(&mut random);
            }
        }
        _ => {
            let end = shared.lock().unwrap().wal.end;
            idle(&shared, &mut socket, &mut heard, end).await;
        }
    }
}

/// The last bytes of a connection, and what kind of end it is.
fn ending(
    loss: Loss,
    before: Option<&Frame>,
    next: Option<&Frame>,
    bytes: &mut Vec<u8>,
) -> &'static str {
    let inside = before.is_some_and(|frame| frame.inside);
    match (loss.how, next) {
        (How::Within(part), Some(next)) => {
            let length = next.bytes.len();
            let part = usize::try_from(part).expect("below 256") * (length - 1) / 256 + 1;
            bytes.extend_from_slice(&next.bytes[..part]);
            match part {
                0..5 => "loss: in the header of a frame",
                _ => "loss: within a frame",
            }
        }
        (How::Reported, _) => {
            let report = b"SFATAL\0VFATAL\0C57P01\0Mending\0\0";
            let length = u32::try_from(report.len() + 4).expect("short");
            bytes.extend_from_slice(b"E");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(report);
            "loss: reported by the server"
        }
        (How::Ended, _) => {
            bytes.extend_from_slice(b"c\0\0\0\x04");
            "loss: the server ends the stream"
        }
        _ if inside => "loss: within a transaction or block",
        _ => "loss: between frames",
    }
}

/// Everything is sent: asks, and answers, until the client goes.
async fn idle(shared: &Arc<Mutex<World>>, socket: &mut UnixStream, heard: &mut Heard, end: u64) {
    // The client's own updates come every five seconds.
    const AT_ONCE: Duration = Duration::from_secs(3);
    let keepalive = |asks| copy_data(&writer::keepalive(end, 0, asks));
    if socket.write_all(&keepalive(1)).await.is_err() {
        return;
    }
    shared.lock().unwrap().at_end = true;
    let asked = tokio::time::Instant::now();
    heard.answered = false;
    let mut waits = true;
    loop {
        let mut buffer = [0; 1024];
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(length) => heard.bytes(shared, &buffer[..length]),
        }
        if waits && heard.answered {
            waits = false;
            // At its end a stream hears nothing any more.
            if asked.elapsed() > AT_ONCE && !shared.lock().unwrap().ends {
                let late = format!("a question was answered after {:?}", asked.elapsed());
                shared.lock().unwrap().wrong(late);
            }
        }
        if std::mem::take(&mut heard.asked) && socket.write_all(&keepalive(0)).await.is_err() {
            return;
        }
        if heard.done {
            let rest = b"c\0\0\0\x04C\0\0\0\x0bCOPY 0\0Z\0\0\0\x05I";
            let _ = socket.write_all(rest).await;
            let _ = socket.read(&mut buffer).await;
            return;
        }
    }
}

/// What a connection has heard.
#[derive(Default)]
struct Heard {
    connection: u64,
    rest: Vec<u8>,
    flushed: u64,
    answered: bool,
    asked: bool,
    done: bool,
}

impl Heard {
    /// Takes what has come, without waiting.
    fn take(&mut self, shared: &Mutex<World>, socket: &mut UnixStream) {
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = socket.try_read(&mut buffer) {
            self.bytes(shared, &buffer[..length]);
        }
    }

    fn bytes(&mut self, shared: &Mutex<World>, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        while let Some((tag, length)) = self.rest.first_chunk::<5>().map(|head| {
            let [tag, length @ ..] = *head;
            (tag, u32::from_be_bytes(length) as usize + 1)
        }) {
            if self.rest.len() < length {
                break;
            }
            let message: Vec<_> = self.rest.drain(..length).collect();
            self.message(shared.lock().unwrap(), tag, &message);
        }
    }

    fn message(&mut self, mut world: MutexGuard<'_, World>, tag: u8, message: &[u8]) {
        if self.connection + 1 != world.connections {
            // It lies in a socket that nobody reads any more.
            return;
        }
        let number = |at: usize| {
            let bytes = message.get(at..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        match tag {
            b'd' if message.len() == 39 && message[5] == b'r' => {
                let (written, flushed, applied) = (number(6), number(14), number(22));
                if written < flushed || applied < flushed {
                    world.wrong(format!(
                        "written {written:X}, flushed {flushed:X} and applied {applied:X} were told"
                    ));
                }
                world.hear(flushed, self.flushed);
                self.flushed = flushed;
                self.answered = true;
                self.asked |= message[38] == 1;
            }
            b'c' => self.done = true,
            b'X' => {}
            _ => world.wrong(format!("the client sent {message:?}")),
        }
    }
}

/// The stand-in for a link to a server.
pub(super) struct Script {
    world: Arc<Mutex<World>>,
    failures: u32,
    attempts: u32,
}

impl Script {
    pub(super) fn new(world: &Arc<Mutex<World>>) -> Self {
        Self {
            world: Arc::clone(world),
            failures: 0,
            attempts: 0,
        }
    }
}

impl Reconnecting for Script {
    fn lost(&mut self, _received: Lsn, _now: Instant) {
        let world = self.world.lock().unwrap();
        let number = usize::try_from(world.connections).expect("few");
        let loss = number.checked_sub(1).and_then(|at| world.losses.get(at));
        self.failures = loss.map_or(0, |loss| loss.failures);
        self.attempts = 0;
    }

    fn pause(&mut self, _now: Instant) -> Option<Duration> {
        Some(Duration::from_millis(10))
    }

    async fn connect(&mut self, reached: Lsn) -> Result<(Channel, Reconnected)> {
        self.attempts += 1;
        if self.attempts <= self.failures {
            self.world.lock().unwrap().counts.met("connect: refused");
            return Err(Error::closed());
        }
        let (channel, confirmed) = connect(&self.world);
        if confirmed > reached {
            return Err(Error::slot_ahead("s", confirmed, reached));
        }
        let reconnected = Reconnected {
            attempts: self.attempts,
            outage: Duration::ZERO,
            timeline: 1,
        };
        Ok((channel, reconnected))
    }
}
