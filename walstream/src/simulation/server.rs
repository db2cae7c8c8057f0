//! The scripted server's connections, which end where the case says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testdata::random::Random;
use testdata::walsender::{Frame, copy_data};
use testdata::writer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use walproto::Lsn;

use super::case::{How, Loss};
use super::heard::Heard;
use super::world::World;
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::reconnect::{Reconnected, Reconnecting};

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
    let mut heard = Heard::of(connection);
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
