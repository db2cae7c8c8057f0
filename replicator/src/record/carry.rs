//! What a new file has to begin with so that it can be read by itself: the relations and types that were announced.
//!
//! The server announces each once in a session. Those of a streamed transaction count from its commit on.

use std::collections::{BTreeMap, HashMap};

use walstream::walproto::{self, Decoder, Message, Oid, Xid};

/// Follows the stream just as far as that needs.
#[derive(Debug)]
pub(super) struct Carry {
    decoder: Decoder,
    state: State,
    /// Streamed transactions that have not ended, with what they announced.
    open: HashMap<Xid, Vec<Announced>>,
    /// Types before relations, as the server sends them.
    known: BTreeMap<(Kind, Oid), Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    InTransaction,
    InBlock(Xid),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Type,
    Relation,
}

#[derive(Debug)]
struct Announced {
    /// The subtransaction.
    xid: Option<Xid>,
    key: (Kind, Oid),
    message: Vec<u8>,
}

impl Carry {
    pub(super) fn new(decoder: Decoder) -> Self {
        Self {
            decoder,
            state: State::Between,
            open: HashMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Looks at a message; rows, which are nearly all, are not read.
    pub(super) fn see(&mut self, message: &[u8]) -> walproto::Result<()> {
        if matches!(
            message.first(),
            Some(b'I' | b'U' | b'D' | b'T' | b'M' | b'O')
        ) {
            return Ok(());
        }
        let decoded = self.decoder.decode(message)?;
        match decoded.message {
            Message::Begin(_) | Message::BeginPrepare(_) => self.state = State::InTransaction,
            Message::Commit(_) | Message::Prepare(_) => self.state = State::Between,
            Message::StreamStart(start) => {
                let announced = self.open.entry(start.xid).or_default();
                if start.first_segment {
                    announced.clear();
                }
                self.state = State::InBlock(start.xid);
            }
            Message::StreamStop => self.state = State::Between,
            Message::StreamCommit(commit) => self.ended(commit.xid),
            Message::StreamPrepare(prepare) => self.ended(prepare.xid),
            Message::StreamAbort(abort) if abort.xid == abort.subxid => {
                self.open.remove(&abort.xid);
            }
            Message::StreamAbort(abort) => {
                if let Some(announced) = self.open.get_mut(&abort.xid) {
                    announced.retain(|announced| announced.xid != Some(abort.subxid));
                }
            }
            Message::Relation(relation) => {
                self.announced(decoded.xid, (Kind::Relation, relation.oid), message);
            }
            Message::Type(ty) => self.announced(decoded.xid, (Kind::Type, ty.oid), message),
            _ => {}
        }
        Ok(())
    }

    fn announced(&mut self, xid: Option<Xid>, key: (Kind, Oid), message: &[u8]) {
        let mut message = message.to_vec();
        if xid.is_some() && message.len() > 5 {
            // Outside of blocks there is no transaction behind the tag.
            message.drain(1..5);
        }
        let open = match self.state {
            State::InBlock(top) => self.open.get_mut(&top),
            State::Between | State::InTransaction => None,
        };
        match open {
            Some(open) => open.push(Announced { xid, key, message }),
            None => drop(self.known.insert(key, message)),
        }
    }

    fn ended(&mut self, xid: Xid) {
        for announced in self.open.remove(&xid).into_iter().flatten() {
            self.known.insert(announced.key, announced.message);
        }
    }

    /// Whether nothing has begun that a later message would belong to.
    pub(super) fn at_rest(&self) -> bool {
        self.state == State::Between && self.open.is_empty()
    }

    /// The messages, in the form they have outside of blocks.
    pub(super) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.known.values().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use testdata::writer;

    use super::*;

    fn relation(xid: Option<u32>, oid: u32, name: &str) -> Vec<u8> {
        writer::relation(xid, oid, "public", name, b'd', &[])
    }

    fn seen(messages: &[Vec<u8>]) -> (Carry, Vec<Vec<u8>>) {
        let mut carry = Carry::new(Decoder::new());
        for message in messages {
            carry.see(message).unwrap();
        }
        let messages = carry.messages().map(<[u8]>::to_vec).collect();
        (carry, messages)
    }

    #[test]
    fn the_last_announcement_of_each_counts_and_types_come_first() {
        let (carry, messages) = seen(&[
            writer::begin(1, 0, 7),
            relation(None, 1, "old"),
            writer::r#type(None, 9, "public", "ty"),
            relation(None, 1, "new"),
            relation(None, 2, "other"),
            writer::commit(0, 1, 2, 0),
        ]);
        assert!(carry.at_rest());
        let expected = [
            writer::r#type(None, 9, "public", "ty"),
            relation(None, 1, "new"),
            relation(None, 2, "other"),
        ];
        assert_eq!(messages, expected);
    }

    #[test]
    fn what_a_streamed_transaction_announced_counts_from_its_commit_on() {
        let block = |xid, first| writer::stream_start(xid, first);
        let mut script = vec![
            block(7, 1),
            relation(Some(7), 1, "kept"),
            relation(Some(8), 2, "rolled back"),
            writer::stream_stop(),
            block(9, 1),
            relation(Some(9), 1, "aborted"),
            writer::stream_stop(),
        ];
        let (carry, messages) = seen(&script);
        assert!(!carry.at_rest());
        assert!(messages.is_empty());

        script.extend([
            writer::stream_abort(7, 8, None),
            writer::stream_commit(7, 0, 1, 2, 0),
        ]);
        let (carry, messages) = seen(&script);
        assert!(!carry.at_rest(), "the other is open");
        assert_eq!(messages, [relation(None, 1, "kept")]);

        script.push(writer::stream_abort(9, 9, None));
        let (carry, messages) = seen(&script);
        assert!(carry.at_rest());
        assert_eq!(messages, [relation(None, 1, "kept")]);
    }

    #[test]
    fn a_transaction_that_is_being_sent_is_no_rest() {
        assert!(!seen(&[writer::begin(1, 0, 7)]).0.at_rest());
        assert!(!seen(&[writer::begin_prepare(1, 2, 0, 7, "g")]).0.at_rest());
        assert!(!seen(&[writer::stream_start(7, 1)]).0.at_rest());
    }
}
