//! What goes to the task that writes the destination, in the order of the stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use walstream::walproto::{Lsn, Timestamp};
use walstream::{Token, Transaction};

use crate::plan::Operation;

/// Bytes of operations that may be on their way: one large parcel being carried out, one that waits, and one that is
/// sent. What waits behind them waits in the stream, which bounds itself.
const ROOM: u32 = 12 << 20;

/// Parcels on their way; so many only where each holds a small transaction, and then they are written together.
const PARCELS: usize = 1024;

/// A part of what is to be committed together.
///
/// Source transactions come in groups, each in one or more parcels, of which only the last is whole. Only whole groups
/// are committed.
#[derive(Default)]
pub(super) struct Parcel {
    /// Where the destination is once the group is in.
    pub(super) to: Lsn,
    /// When the last transaction of the group committed, if it has any.
    pub(super) time: Option<Timestamp>,
    /// The server's timeline; the row follows with this group.
    pub(super) timeline: u32,
    pub(super) operations: Vec<Operation>,
    /// Transactions whose last operation is in here. They are kept until they are known to be in, and can be walked
    /// again until then.
    pub(super) ended: Vec<Transaction>,
    /// Idle positions at or below `to`.
    pub(super) idle: Vec<Token>,
    /// Transactions of the whole group.
    pub(super) count: usize,
    /// And the bytes of their messages.
    pub(super) bytes: u64,
    /// Whether it is the last of its group.
    pub(super) whole: bool,
    /// Whether its transactions committed a while ago, so that nobody waits for them in particular.
    pub(super) old: bool,
    /// Whether `operations` hold less than `ended`: they could or should not be walked.
    pub(super) raw: bool,
    /// Given back when the operations are carried out.
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl Parcel {
    /// Whether it holds only a position.
    pub(super) fn is_idle(&self) -> bool {
        self.operations.is_empty() && self.ended.is_empty()
    }
}

/// The builder's end.
pub(super) struct Outbox {
    parcels: mpsc::Sender<Parcel>,
    room: Arc<Semaphore>,
    hurry: Arc<AtomicBool>,
}

/// The destination's task has ended, or wants no more.
pub(super) struct Closed;

/// The destination's end.
pub(super) struct Inbox {
    parcels: mpsc::Receiver<Parcel>,
    hurry: Arc<AtomicBool>,
}

pub(super) fn channel() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::channel(PARCELS);
    let hurry = Arc::new(AtomicBool::new(false));
    let outbox = Outbox {
        parcels: sender,
        room: Arc::new(Semaphore::new(ROOM as usize)),
        hurry: Arc::clone(&hurry),
    };
    let inbox = Inbox {
        parcels: receiver,
        hurry,
    };
    (outbox, inbox)
}

impl Outbox {
    /// Waits until there is room for so many bytes of operations.
    pub(super) async fn send(&self, mut parcel: Parcel, bytes: usize) -> Result<(), Closed> {
        // A single row that is larger than all of the room has it for itself.
        let bytes = u32::try_from(bytes).unwrap_or(ROOM).min(ROOM);
        if bytes > 0 {
            let room = Arc::clone(&self.room).acquire_many_owned(bytes);
            tokio::select! {
                room = room => parcel.room = room.ok(),
                () = self.parcels.closed() => return Err(Closed),
            }
        }
        self.parcels.send(parcel).await.map_err(|_| Closed)
    }

    /// Whether what is being built is to be sent as it is.
    pub(super) fn hurries(&self) -> bool {
        self.hurry.load(Ordering::Relaxed)
    }
}

impl Inbox {
    /// The next one; `None` when there is none and none will come.
    pub(super) async fn next(&mut self) -> Option<Parcel> {
        self.parcels.recv().await
    }

    /// The next one, if it comes before that moment.
    pub(super) async fn next_until(&mut self, moment: Instant) -> Option<Parcel> {
        let next = tokio::time::timeout_at(moment, self.parcels.recv());
        next.await.ok().flatten()
    }

    /// The next one, if it is there.
    pub(super) fn next_now(&mut self) -> Option<Parcel> {
        self.parcels.try_recv().ok()
    }

    /// Asks for what is being built as it is, or not any more.
    pub(super) fn hurry(&self, hurry: bool) {
        self.hurry.store(hurry, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_is_bounded_by_bytes() {
        let (outbox, mut inbox) = channel();
        let half = ROOM as usize / 2;
        for _ in 0..2 {
            assert!(outbox.send(Parcel::default(), half).await.is_ok());
        }
        let third = outbox.send(Parcel::default(), half);
        let mut third = std::pin::pin!(third);
        let minute = Duration::from_secs(60);
        assert!(tokio::time::timeout(minute, &mut third).await.is_err());
        let first = inbox.next().await.unwrap();
        // Received is not carried out.
        assert!(tokio::time::timeout(minute, &mut third).await.is_err());
        drop(first.room);
        assert!(third.await.is_ok());
    }

    #[tokio::test]
    async fn whatever_is_too_large_has_the_room_for_itself_and_is_not_stuck() {
        let (outbox, mut inbox) = channel();
        assert!(outbox.send(Parcel::default(), usize::MAX).await.is_ok());
        let sent = outbox.send(Parcel::default(), 1);
        let mut sent = std::pin::pin!(sent);
        let now = Duration::ZERO;
        assert!(tokio::time::timeout(now, &mut sent).await.is_err());
        drop(inbox.next().await);
        assert!(sent.await.is_ok());
        // Nobody waits for room that nobody will give back.
        let held = inbox.next().await;
        assert!(
            outbox
                .send(Parcel::default(), ROOM as usize - 1)
                .await
                .is_ok()
        );
        let stuck = outbox.send(Parcel::default(), 10);
        let mut stuck = std::pin::pin!(stuck);
        assert!(tokio::time::timeout(now, &mut stuck).await.is_err());
        drop(inbox);
        assert!(stuck.await.is_err());
        drop(held);
    }
}
