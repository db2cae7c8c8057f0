//! What a client tells the server: status updates and hot standby feedback.

use crate::error::{ErrorKind, Field, Result};
use crate::reader::Reader;
use crate::{Lsn, Timestamp};

/// The content of one CopyData message from a client: for proxies and for servers made up in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feedback {
    /// `r`: how far the client is.
    StatusUpdate(StatusUpdate),
    /// `h`: what a standby still needs.
    HotStandby(HotStandbyFeedback),
}

impl Feedback {
    /// Reads the content of one CopyData message.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownTag`] for any other first byte (`p` comes from clients of server 19 on),
    /// [`ErrorKind::Truncated`] and [`ErrorKind::TrailingBytes`].
    // walsender.c: ProcessStandbyReplyMessage, ProcessStandbyHSFeedbackMessage
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut r = Reader::new(bytes)?;
        let feedback = match r.tag() {
            b'r' => Self::StatusUpdate(StatusUpdate {
                written: r.lsn(Field::Written)?,
                flushed: r.lsn(Field::Flushed)?,
                applied: r.lsn(Field::Applied)?,
                sent_at: r.timestamp(Field::ClientTime)?,
                reply_requested: r.u8(Field::ReplyWanted)? != 0,
            }),
            b'h' => Self::HotStandby(HotStandbyFeedback {
                sent_at: r.timestamp(Field::ClientTime)?,
                xmin: r.u32(Field::Xmin)?,
                xmin_epoch: r.u32(Field::XminEpoch)?,
                catalog_xmin: r.u32(Field::CatalogXmin)?,
                catalog_xmin_epoch: r.u32(Field::CatalogXminEpoch)?,
            }),
            _ => return Err(r.error_at(bytes, ErrorKind::UnknownTag, Field::Tag)),
        };
        if r.rest().is_empty() {
            Ok(feedback)
        } else {
            Err(r.error(ErrorKind::TrailingBytes, Field::FeedbackEnd))
        }
    }
}

/// `r`: how far the client is. [`flushed`](Self::flushed) lets the server forget WAL.
///
/// Layout: `r`, three positions (8 each), time (8), reply request (1). Read by `ProcessStandbyReplyMessage` of
/// `walsender.c`.
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
    /// The content of a CopyData message.
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
///
/// Layout: `h`, time (8), xmin (4), its epoch (4), catalog xmin (4), its epoch (4). Read by
/// `ProcessStandbyHSFeedbackMessage` of `walsender.c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HotStandbyFeedback {
    /// The client's clock.
    pub sent_at: Timestamp,
    /// Oldest transaction needed for rows, 0 for none.
    pub xmin: u32,
    /// Epoch of `xmin`: how often the counter of transactions had wrapped around.
    pub xmin_epoch: u32,
    /// Oldest transaction needed for catalogs, 0 for none.
    pub catalog_xmin: u32,
    /// Epoch of `catalog_xmin`.
    pub catalog_xmin_epoch: u32,
}

impl HotStandbyFeedback {
    /// The content of a CopyData message.
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
    extern crate std;
    use super::*;
    use std::string::ToString;
    use std::vec::Vec;

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

    #[test]
    fn feedback_has_neither_less_nor_more_bytes() {
        for bytes in [
            &StatusUpdate::default().encode()[..],
            &HotStandbyFeedback::default().encode(),
        ] {
            assert!(Feedback::parse(bytes).is_ok());
            for cut in 1..bytes.len() {
                let error = Feedback::parse(&bytes[..cut]).unwrap_err();
                assert_eq!(error.kind, ErrorKind::Truncated);
                assert!(error.offset as usize <= cut, "{error}, cut at {cut}");
            }
            let longer: Vec<u8> = bytes.iter().copied().chain([0]).collect();
            let error = Feedback::parse(&longer).unwrap_err();
            assert_eq!(error.kind, ErrorKind::TrailingBytes);
            assert_eq!(error.offset as usize, bytes.len());
        }
    }

    #[test]
    fn what_no_client_sends_is_refused() {
        for tag in (0..=u8::MAX).filter(|tag| !b"rh".contains(tag)) {
            let error = Feedback::parse(&[tag; 34]).unwrap_err();
            assert_eq!((error.kind, error.offset), (ErrorKind::UnknownTag, 0));
        }
        assert_eq!(Feedback::parse(&[]).unwrap_err().kind, ErrorKind::Empty);
    }

    #[test]
    fn an_error_does_not_mistake_a_status_update_for_a_rollback() {
        let update = StatusUpdate::default().encode();
        assert_eq!(
            Feedback::parse(&update[..20]).unwrap_err().to_string(),
            "message ends too early, in applied position of Standby Status Update ('r') at byte 17"
        );
        let longer: Vec<u8> = update.into_iter().chain([0]).collect();
        assert_eq!(
            Feedback::parse(&longer).unwrap_err().to_string(),
            "bytes left over after the message, in Standby Status Update ('r') at byte 34"
        );
    }
}
