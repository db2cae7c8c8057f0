//! Relations without an allocator: their messages, kept in an array.

use walproto::{Decoder, Encoder, Message, Oid, Relation};

/// The relations of a session: at most `TABLES`, whose messages take at most `BYTES` together.
///
/// A message takes 10 bytes, the names of schema and table, and for each column 10 bytes and its name. Messages stand
/// one after the other; what a relation means is read again from its message each time it is asked for.
#[derive(Debug)]
pub(crate) struct Schemas<const TABLES: usize, const BYTES: usize> {
    /// Which relation, and where its message ends. It begins where the one before ends.
    kept: [(Oid, usize); TABLES],
    count: usize,
    bytes: [u8; BYTES],
}

/// There is no room for one more relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<const TABLES: usize, const BYTES: usize> Schemas<TABLES, BYTES> {
    /// Begins with none, as every session does: after a reconnect the server sends all of them again.
    pub(crate) const fn new() -> Self {
        Self {
            kept: [(Oid(0), 0); TABLES],
            count: 0,
            bytes: [0; BYTES],
        }
    }

    /// Keeps a relation in place of what was known of the table before.
    ///
    /// One from inside a stream block belongs to its transaction alone until that commits. Who keeps a single table of
    /// schemas had better not ask for `streaming`.
    ///
    /// # Errors
    ///
    /// No room. What was known of the table before is then forgotten, because it is no longer true.
    pub(crate) fn keep(&mut self, relation: &Relation<'_>) -> Result<(), Full> {
        self.forget(relation.oid);
        let start = self.end(self.count);
        let free = self.bytes.get_mut(start..).ok_or(Full)?;
        let place = self.kept.get_mut(self.count).ok_or(Full)?;
        let len = Encoder::new()
            .encode(None, &Message::Relation(*relation), free)
            .map_err(|_| Full)?;
        *place = (relation.oid, start + len);
        self.count += 1;
        Ok(())
    }

    /// What is known of a table; `None` when the server has not described it in this session.
    pub(crate) fn find(&self, oid: Oid) -> Option<Relation<'_>> {
        let index = self.index(oid)?;
        let message = self.bytes.get(self.end(index)..self.end(index + 1))?;
        match Decoder::new().decode(message).ok()?.message {
            Message::Relation(relation) => Some(relation),
            _ => None,
        }
    }

    /// How many relations are kept.
    pub(crate) const fn len(&self) -> usize {
        self.count
    }

    fn forget(&mut self, oid: Oid) {
        let Some(index) = self.index(oid) else {
            return;
        };
        let (start, end) = (self.end(index), self.end(index + 1));
        self.bytes.copy_within(end.., start);
        self.kept.copy_within(index + 1.., index);
        self.count -= 1;
        for (_, place) in self.kept.iter_mut().take(self.count).skip(index) {
            *place -= end - start;
        }
    }

    fn index(&self, oid: Oid) -> Option<usize> {
        let mut kept = self.kept.iter().take(self.count);
        kept.position(|(kept, _)| *kept == oid)
    }

    /// Where the first `count` messages end.
    fn end(&self, count: usize) -> usize {
        let last = count.checked_sub(1).and_then(|last| self.kept.get(last));
        last.map_or(0, |(_, end)| *end)
    }
}
