//! When to tell the server what: status updates, replies and pings, as a function of time.
//!
//! No socket and no clock in here; the driver hands in what it heard and what time it is.

use std::time::{Duration, Instant};

use walproto::{Keepalive, Lsn, StatusUpdate, Timestamp};

/// What a status update reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) received: Lsn,
    pub(crate) durable: Lsn,
    pub(crate) applied: Lsn,
}

/// One connection's feedback.
///
/// Updates go out when the interval has passed, at once when the server asks, and as soon as the durable position
/// rose. Silence of the server is answered by a ping, and silence after that ends the connection.
#[derive(Debug)]
pub(crate) struct Session {
    interval: Duration,
    patience: Duration,
    due: Instant,
    heard: Instant,
    pinged: bool,
    reply: bool,
    ping: bool,
    /// Durable position last sent.
    flushed: Lsn,
}

impl Session {
    /// `timeout` is the server's `wal_sender_timeout` for this session; zero means it has none.
    pub(crate) fn new(timeout: Duration, now: Instant) -> Self {
        const LONGEST: Duration = Duration::from_secs(10);
        let (interval, patience) = match timeout {
            Duration::ZERO => (LONGEST, Duration::from_secs(60)),
            // A third leaves room for one lost update. The server speaks at half of its timeout when it hears
            // nothing; we do not let it come to that, so a silent server is normal for as long as it has no news.
            timeout => ((timeout / 3).min(LONGEST), timeout),
        };
        Self {
            interval,
            patience,
            due: now + interval,
            heard: now,
            pinged: false,
            reply: false,
            ping: false,
            flushed: Lsn::ZERO,
        }
    }

    /// How long the server may be silent before it is asked.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// Bytes came from the server, or we chose not to read.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = false;
    }

    /// A keepalive came; it may want an answer.
    pub(crate) fn keepalive(&mut self, keepalive: &Keepalive) {
        self.reply |= keepalive.reply_requested;
    }

    /// Lets the next update go out at once.
    pub(crate) fn reply(&mut self) {
        self.reply = true;
    }

    /// Asks the server for a keepalive with the next update, which goes out at once.
    pub(crate) fn ping(&mut self) {
        self.ping = true;
    }

    /// The status update to send now, if one is due.
    pub(crate) fn transmit(
        &mut self,
        now: Instant,
        clock: Timestamp,
        positions: Positions,
    ) -> Option<StatusUpdate> {
        let silent = !self.pinged && now >= self.heard + self.patience;
        let news = positions.durable > self.flushed;
        if !(self.reply || self.ping || silent || news || now >= self.due) {
            return None;
        }
        let ping = self.ping || silent;
        self.pinged |= silent;
        self.due = now + self.interval;
        self.reply = false;
        self.ping = false;
        // Never backwards: some servers move the slot back when told a lower position.
        self.flushed = self.flushed.max(positions.durable);
        Some(StatusUpdate {
            written: positions.received.max(self.flushed),
            flushed: self.flushed,
            applied: positions.applied.max(self.flushed),
            sent_at: clock,
            reply_requested: ping,
        })
    }

    /// When to ask again, though nothing happens. While the server does not take the last update (`blocked`) there is
    /// nothing to send.
    pub(crate) fn deadline(&self, blocked: bool) -> Instant {
        if blocked {
            return self.heard + 2 * self.patience;
        }
        let silence = if self.pinged {
            self.heard + 2 * self.patience
        } else {
            self.heard + self.patience
        };
        self.due.min(silence)
    }

    /// Whether the server did not answer a ping, or is silent and does not even take one.
    pub(crate) fn is_lost(&self, now: Instant, blocked: bool) -> bool {
        (self.pinged || blocked) && now >= self.heard + 2 * self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(15);
    const INTERVAL: Duration = Duration::from_secs(5);

    fn at(lsn: u64) -> Positions {
        Positions {
            received: Lsn(lsn),
            durable: Lsn(lsn),
            applied: Lsn(lsn),
        }
    }

    fn keepalive(reply_requested: bool) -> Keepalive {
        Keepalive {
            wal_end: Lsn(1),
            sent_at: Timestamp(0),
            reply_requested,
        }
    }

    #[test]
    fn updates_are_driven_by_time() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        assert_eq!(
            session.transmit(start, Timestamp(0), Positions::default()),
            None
        );
        for beat in 1..100 {
            let now = start + beat * INTERVAL;
            session.heard(now);
            assert!(session.deadline(false) <= now);
            assert!(
                session
                    .transmit(now, Timestamp(0), Positions::default())
                    .is_some()
            );
            assert_eq!(
                session.transmit(now, Timestamp(0), Positions::default()),
                None
            );
        }
    }

    #[test]
    fn a_requested_reply_does_not_wait_for_the_interval() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        session.keepalive(&keepalive(false));
        assert_eq!(
            session.transmit(start, Timestamp(0), Positions::default()),
            None
        );
        session.keepalive(&keepalive(true));
        let update = session
            .transmit(start, Timestamp(7), Positions::default())
            .unwrap();
        assert_eq!(
            (update.flushed, update.sent_at, update.reply_requested),
            (Lsn(0), Timestamp(7), false)
        );
        assert_eq!(
            session.transmit(start, Timestamp(0), Positions::default()),
            None
        );
    }

    #[test]
    fn durable_progress_is_told_at_once_and_only_once() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        assert_eq!(
            session
                .transmit(start, Timestamp(0), at(40))
                .unwrap()
                .flushed,
            Lsn(40)
        );
        assert_eq!(session.transmit(start, Timestamp(0), at(40)), None);
    }

    #[test]
    fn what_is_received_alone_is_no_news() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        let received = Positions {
            received: Lsn(9),
            ..Positions::default()
        };
        assert_eq!(session.transmit(start, Timestamp(0), received), None);
        let update = session
            .transmit(start + INTERVAL, Timestamp(0), received)
            .unwrap();
        assert_eq!(
            (update.written, update.flushed, update.applied),
            (Lsn(9), Lsn(0), Lsn(0))
        );
    }

    #[test]
    fn the_flushed_position_never_goes_back() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        session.transmit(start, Timestamp(0), at(40)).unwrap();
        session.ping();
        let update = session.transmit(start, Timestamp(0), at(30)).unwrap();
        assert_eq!(
            (update.written, update.flushed, update.applied),
            (Lsn(40), Lsn(40), Lsn(40))
        );
    }

    #[test]
    fn a_silent_server_is_pinged_and_then_given_up() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        let mut now = start;
        let mut pings = 0;
        while !session.is_lost(now, false) {
            now = session.deadline(false);
            if let Some(update) = session.transmit(now, Timestamp(0), Positions::default()) {
                pings += usize::from(update.reply_requested);
            }
        }
        assert_eq!(pings, 1);
        assert_eq!(now - start, 2 * TIMEOUT);
    }

    #[test]
    fn an_answer_to_the_ping_saves_the_connection() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        assert!(
            session
                .transmit(start + TIMEOUT, Timestamp(0), Positions::default())
                .unwrap()
                .reply_requested
        );
        session.heard(start + TIMEOUT);
        assert!(!session.is_lost(start + 2 * TIMEOUT, false));
    }

    #[test]
    fn a_ping_on_request_goes_out_at_once() {
        let start = Instant::now();
        let mut session = Session::new(TIMEOUT, start);
        session.ping();
        assert!(
            session
                .transmit(start, Timestamp(0), Positions::default())
                .unwrap()
                .reply_requested
        );
        assert_eq!(
            session.transmit(start, Timestamp(0), Positions::default()),
            None
        );
    }

    #[test]
    fn a_server_without_a_timeout_still_hears_from_us() {
        let start = Instant::now();
        let session = Session::new(Duration::ZERO, start);
        assert_eq!(session.deadline(false) - start, Duration::from_secs(10));
    }
}
