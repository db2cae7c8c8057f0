//! What is written as one: groups of the stream that wait behind one another.

use std::collections::VecDeque;

use walstream::walproto::{Lsn, Timestamp};
use walstream::{Token, Transaction};

use super::builder::CHUNK;
use super::measure::Measure;
use super::parcel::{Inbox, Parcel};
use crate::error::{Error, Result};

/// What is being written as one.
pub(super) struct Batch {
    parcels: VecDeque<Parcel>,
    /// As in the last parcel that came.
    pub(super) to: Lsn,
    pub(super) time: Option<Timestamp>,
    pub(super) timeline: u32,
    whole: bool,
    /// As in the last parcel that came.
    old: bool,
    /// Transactions of its groups, and their bytes.
    pub(super) count: usize,
    pub(super) bytes: u64,
    /// What is to be confirmed.
    pub(super) ended: Vec<Transaction>,
    pub(super) idle: Vec<Token>,
    pub(super) changes: u64,
}

impl Batch {
    pub(super) fn new(first: Parcel) -> Self {
        let mut batch = Self {
            parcels: VecDeque::new(),
            to: first.to,
            time: first.time,
            timeline: first.timeline,
            whole: true,
            old: false,
            count: 0,
            bytes: 0,
            ended: Vec::new(),
            idle: Vec::new(),
            changes: 0,
        };
        batch.add(first);
        batch
    }

    pub(super) fn add(&mut self, parcel: Parcel) {
        if self.whole {
            // The first of its group.
            self.count += parcel.count;
            self.bytes += parcel.bytes;
        }
        self.to = parcel.to;
        self.time = parcel.time;
        self.timeline = parcel.timeline;
        self.whole = parcel.whole;
        self.old = parcel.old;
        self.parcels.push_back(parcel);
    }

    /// Whether it is worth a moment's wait for more: a backlog is being worked off, of which one commit may take a lot.
    pub(super) fn lingers(&self) -> bool {
        self.whole && self.old
    }

    /// Whether some of it has to be read again.
    pub(super) fn is_raw(&self) -> bool {
        self.parcels.iter().any(|parcel| parcel.raw)
    }

    /// Whether a parcel goes along: more of the same group, or a group that there is room for.
    pub(super) fn takes(&self, parcel: &Parcel, measure: &Measure) -> bool {
        !self.whole
            || !parcel.is_idle()
                && self.count + parcel.count <= measure.most_transactions()
                && self.bytes + parcel.bytes <= measure.most_bytes()
    }

    /// The next parcel, its transactions taken out; `None` when the last group is complete.
    pub(super) async fn next(&mut self, inbox: &mut Inbox) -> Result<Option<Parcel>> {
        if self.parcels.is_empty() {
            if self.whole {
                return Ok(None);
            }
            let Some(parcel) = inbox.next().await else {
                return Err(Error::retry("the stream ended in the middle of a batch"));
            };
            self.add(parcel);
        }
        let mut parcel = self.parcels.pop_front();
        if let Some(parcel) = &mut parcel {
            self.ended.append(&mut parcel.ended);
            self.idle.append(&mut parcel.idle);
        }
        Ok(parcel)
    }

    /// Small parcels that wait behind this one go to the destination with it.
    pub(super) fn join(&mut self, parcel: &mut Parcel) {
        let small = |next: &Parcel, len: usize| !next.raw && len + next.operations.len() <= CHUNK;
        while let Some(mut next) = self
            .parcels
            .pop_front_if(|next| small(next, parcel.operations.len()))
        {
            self.ended.append(&mut next.ended);
            self.idle.append(&mut next.idle);
            parcel.operations.append(&mut next.operations);
            match (&mut parcel.room, next.room) {
                (Some(room), Some(more)) => room.merge(more),
                (room, more) => *room = room.take().or(more),
            }
        }
    }

    /// Takes all transactions of it, without their operations.
    pub(super) async fn gather(&mut self, inbox: &mut Inbox) -> Result<()> {
        inbox.hurry(true);
        let gathered = loop {
            match self.next(inbox).await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        inbox.hurry(false);
        gathered
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::{Action, Operation};
    use crate::table::Table;

    fn operations(count: usize) -> Vec<Operation> {
        let table = Arc::new(Table {
            oid: walproto::Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            identity: 'd',
            relfilenode: 1,
        });
        let one = |at| Operation {
            table: Arc::clone(&table),
            lsn: Lsn(at as u64),
            action: Action::Truncate,
        };
        (0..count).map(one).collect()
    }

    /// A part of a group of so many transactions.
    fn parcel(to: u64, count: usize, length: usize, whole: bool) -> Parcel {
        Parcel {
            to: Lsn(to),
            operations: operations(length),
            count,
            bytes: count as u64 * 100,
            whole,
            ..Parcel::default()
        }
    }

    #[test]
    fn groups_go_along_while_there_is_room_and_parts_of_a_group_always() {
        let measure = Measure::new(1000, 5);
        let mut batch = Batch::new(parcel(1, 3, 1, false));
        // Its own group, however large that is.
        assert!(batch.takes(&parcel(1, 3, 1, true), &measure));
        batch.add(parcel(1, 3, 1, true));
        assert!(
            !batch.takes(&parcel(2, 3, 1, true), &measure),
            "six transactions"
        );
        assert!(batch.takes(&parcel(2, 2, 1, true), &measure));
        let measure = Measure::new(400, 5);
        assert!(!batch.takes(&parcel(2, 2, 1, true), &measure), "500 bytes");
        let idle = Parcel {
            to: Lsn(9),
            whole: true,
            ..Parcel::default()
        };
        assert!(
            !batch.takes(&idle, &measure),
            "a position is written by itself"
        );
        batch.add(parcel(2, 2, 1, true));
        assert_eq!((batch.to, batch.count, batch.bytes), (Lsn(2), 5, 500));
    }

    #[tokio::test]
    async fn small_parcels_are_carried_out_together_and_in_order() {
        let (_outbox, mut inbox) = super::super::parcel::channel();
        let mut batch = Batch::new(parcel(1, 1, CHUNK * 4 / 10, true));
        for (to, length) in [(2, CHUNK / 2), (3, CHUNK / 5), (4, 1)] {
            batch.add(parcel(to, 1, length, true));
        }
        let mut lengths = Vec::new();
        while let Some(mut parcel) = batch.next(&mut inbox).await.unwrap() {
            batch.join(&mut parcel);
            lengths.push(parcel.operations.len());
        }
        assert_eq!(lengths, [CHUNK * 9 / 10, CHUNK / 5 + 1]);
    }

    #[tokio::test]
    async fn a_batch_waits_for_the_rest_of_its_group_and_for_no_other() {
        let (outbox, mut inbox) = super::super::parcel::channel();
        let mut batch = Batch::new(parcel(1, 1, 1, false));
        for (to, whole) in [(1, false), (1, true), (2, true)] {
            let sent = outbox.send(parcel(to, 1, 1, whole), 10).await;
            assert!(sent.is_ok());
        }
        batch.gather(&mut inbox).await.unwrap();
        assert_eq!(inbox.next_now().map(|parcel| parcel.to), Some(Lsn(2)));
        // One whose rest never comes is not complete.
        let mut batch = Batch::new(parcel(3, 1, 1, false));
        drop(outbox);
        assert!(batch.gather(&mut inbox).await.is_err());
    }
}
