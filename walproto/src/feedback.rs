//! What a client tells the server: status updates and hot standby feedback.

use crate::{Lsn, Timestamp};

/// `r`: how far the client is. [`flushed`](Self::flushed) lets the server forget WAL.
///
/// The server believes whatever it is told, unchecked: a position that is not durable loses what lies before it,
/// one that goes back moves the slot back on some servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatusUpdate {
    /// Received, for `synchronous_commit=remote_write` and the statistics.
    pub written: Lsn,
    /// Durable here; becomes the slot's `confirmed_flush_lsn`. 0/0 says nothing about it.
    pub flushed: Lsn,
    /// Visible here, for `synchronous_commit=remote_apply` and the statistics.
    pub applied: Lsn,
    /// The client's clock.
    pub sent_at: Timestamp,
    /// Asks the server for a keepalive at once.
    pub reply_requested: bool,
}

impl StatusUpdate {
    /// The content of a CopyData message: `r`, three positions (8 each), time (8), reply request (1).
    // walsender.c: ProcessStandbyReplyMessage
    pub fn encode(&self) -> [u8; 34] {
        let mut bytes = [0; 34];
        let mut w = Writer(&mut bytes);
        w.put(b"r");
        w.put(&self.written.0.to_be_bytes());
        w.put(&self.flushed.0.to_be_bytes());
        w.put(&self.applied.0.to_be_bytes());
        w.put(&self.sent_at.0.to_be_bytes());
        w.put(&[u8::from(self.reply_requested)]);
        bytes
    }
}

/// `h`: the oldest transactions a standby still needs. A logical client never sends it; proxies may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotStandbyFeedback {
    /// The client's clock.
    pub sent_at: Timestamp,
    /// Oldest transaction needed for rows, 0 for none.
    pub xmin: u32,
    /// Its epoch.
    pub xmin_epoch: u32,
    /// Oldest transaction needed for catalogs, 0 for none.
    pub catalog_xmin: u32,
    /// Its epoch.
    pub catalog_xmin_epoch: u32,
}

impl HotStandbyFeedback {
    /// The content of a CopyData message: `h`, time (8), xmin, epoch, catalog xmin, epoch (4 each).
    // walsender.c: ProcessStandbyHSFeedbackMessage
    pub fn encode(&self) -> [u8; 25] {
        let mut bytes = [0; 25];
        let mut w = Writer(&mut bytes);
        w.put(b"h");
        w.put(&self.sent_at.0.to_be_bytes());
        w.put(&self.xmin.to_be_bytes());
        w.put(&self.xmin_epoch.to_be_bytes());
        w.put(&self.catalog_xmin.to_be_bytes());
        w.put(&self.catalog_xmin_epoch.to_be_bytes());
        bytes
    }
}

/// Fills an array from the front.
struct Writer<'a>(&'a mut [u8]);

impl Writer<'_> {
    fn put(&mut self, field: &[u8]) {
        let (head, rest) = core::mem::take(&mut self.0)
            .split_at_mut_checked(field.len())
            .expect("the array has the sum of its fields' lengths");
        head.copy_from_slice(field);
        self.0 = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_update_has_34_bytes() {
        let update = StatusUpdate {
            written: Lsn(3),
            flushed: Lsn(2),
            applied: Lsn(1),
            sent_at: Timestamp(-1),
            reply_requested: true,
        };
        assert_eq!(
            update.encode(),
            [
                b'r', //
                0, 0, 0, 0, 0, 0, 0, 3, // written
                0, 0, 0, 0, 0, 0, 0, 2, // flushed
                0, 0, 0, 0, 0, 0, 0, 1, // applied
                255, 255, 255, 255, 255, 255, 255, 255, // clock
                1,   // reply, please
            ]
        );
    }

    #[test]
    fn hot_standby_feedback_has_25_bytes() {
        let feedback = HotStandbyFeedback {
            sent_at: Timestamp(1),
            xmin: 2,
            xmin_epoch: 3,
            catalog_xmin: 4,
            catalog_xmin_epoch: 5,
        };
        assert_eq!(
            feedback.encode(),
            [
                b'h', //
                0, 0, 0, 0, 0, 0, 0, 1, // clock
                0, 0, 0, 2, // xmin
                0, 0, 0, 3, // its epoch
                0, 0, 0, 4, // catalog xmin
                0, 0, 0, 5, // its epoch
            ]
        );
    }
}
