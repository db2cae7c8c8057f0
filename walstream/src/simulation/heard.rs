//! What a connection has heard of the client: status updates, and the end.

use std::sync::{Mutex, MutexGuard};

use tokio::net::UnixStream;

use super::world::World;

/// What a connection has heard.
#[derive(Default)]
pub(super) struct Heard {
    connection: u64,
    rest: Vec<u8>,
    flushed: u64,
    pub(super) answered: bool,
    pub(super) asked: bool,
    pub(super) done: bool,
}

impl Heard {
    pub(super) fn of(connection: u64) -> Self {
        Self {
            connection,
            ..Self::default()
        }
    }

    /// Takes what has come, without waiting.
    pub(super) fn take(&mut self, shared: &Mutex<World>, socket: &mut UnixStream) {
        let mut buffer = [0; 1024];
        while let Ok(length @ 1..) = socket.try_read(&mut buffer) {
            self.bytes(shared, &buffer[..length]);
        }
    }

    pub(super) fn bytes(&mut self, shared: &Mutex<World>, bytes: &[u8]) {
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
