//! The changes of a transaction, one after the other.

use std::collections::HashSet;
use std::sync::Arc;

use walproto::{Decoder, Logical, Lsn, Message, Oid, OldRow, Tuple, Type, Xid};

use crate::error::Error;
use crate::relations::{Relation, Relations};
use crate::spool::Messages;
use crate::transactions::Body;

/// Walks the changes of a [`Transaction`](crate::Transaction), or of a piece of one.
#[derive(Debug)]
pub struct Changes<'a> {
    messages: Messages<'a>,
    aborted: &'a HashSet<Xid>,
    relations: Arc<Relations>,
    decoder: Decoder,
}

/// One change, in the order of the write-ahead log.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change<'a> {
    /// What a table looks like from here on. Comes again with an unchanged meaning.
    Relation(&'a Arc<Relation>),
    /// Name of a type that is not built in.
    Type(Type<'a>),
    /// A new row.
    Insert {
        /// Its table.
        relation: &'a Arc<Relation>,
        /// The row.
        new: Tuple<'a>,
    },
    /// A changed row.
    Update {
        /// Its table.
        relation: &'a Arc<Relation>,
        /// Key or row as it was; absent when the key did not change.
        old: Option<OldRow<'a>>,
        /// The row now.
        new: Tuple<'a>,
    },
    /// A row that is gone.
    Delete {
        /// Its table.
        relation: &'a Arc<Relation>,
        /// Key or row as it was.
        old: OldRow<'a>,
    },
    /// Tables that were emptied together.
    Truncate {
        /// The tables.
        relations: Vec<&'a Arc<Relation>>,
        /// `CASCADE` was given.
        cascade: bool,
        /// `RESTART IDENTITY` was given.
        restart_identity: bool,
    },
    /// A transactional logical message. One from a subtransaction that was rolled back may be among them.
    Message(Logical<'a>),
    /// What follows belongs to this subtransaction, of which nothing came before; only in a
    /// [`StreamChunk`](crate::StreamChunk). A savepoint set here is what a
    /// [`StreamAbort`](crate::StreamAbort) with this number goes back to.
    Savepoint(Xid),
}

impl Body {
    /// Its changes from the beginning.
    pub(crate) fn changes(&mut self) -> Result<Changes<'_>, Error> {
        Ok(Changes {
            messages: self.contents.read().map_err(Error::spool)?,
            aborted: &self.aborted,
            relations: Arc::clone(&self.relations),
            decoder: self.decoder,
        })
    }
}

impl Changes<'_> {
    /// The next change and the position of its record (0/0 for a relation or type); `None` at the end.
    ///
    /// # Errors
    ///
    /// A change of a relation that was never described, or one with another number of columns than its relation;
    /// or the spool file cannot be read.
    #[expect(
        clippy::should_implement_trait,
        reason = "each change borrows from the walk"
    )]
    pub fn next(&mut self) -> Result<Option<(Lsn, Change<'_>)>, Error> {
        let lsn = loop {
            let Some(lsn) = self.messages.advance().map_err(Error::spool)? else {
                return Ok(None);
            };
            if self.aborted.is_empty() || !self.aborted.contains(&carrier(self.messages.current()))
            {
                break lsn;
            }
        };
        let Self {
            messages,
            relations,
            decoder,
            ..
        } = self;
        if let Some(subxid) = marked(messages.current()) {
            return Ok(Some((lsn, Change::Savepoint(subxid))));
        }
        let change = match decoder
            .decode(messages.current())
            .map_err(|error| Error::decode(error, lsn))?
            .message
        {
            Message::Insert(insert) => {
                let relation = find(relations, insert.relation, lsn)?;
                check(relation, insert.new, lsn)?;
                Change::Insert {
                    relation,
                    new: insert.new,
                }
            }
            Message::Update(update) => {
                let relation = find(relations, update.relation, lsn)?;
                check(relation, update.new, lsn)?;
                if let Some(old) = update.old {
                    check(relation, old.tuple(), lsn)?;
                }
                Change::Update {
                    relation,
                    old: update.old,
                    new: update.new,
                }
            }
            Message::Delete(delete) => {
                let relation = find(relations, delete.relation, lsn)?;
                check(relation, delete.old.tuple(), lsn)?;
                Change::Delete {
                    relation,
                    old: delete.old,
                }
            }
            Message::Truncate(truncate) => Change::Truncate {
                relations: truncate
                    .relations
                    .map(|oid| find(relations, oid, lsn))
                    .collect::<Result<_, _>>()?,
                cascade: truncate.cascade,
                restart_identity: truncate.restart_identity,
            },
            Message::Relation(wire) => {
                let relation = Relation::read(&wire).map_err(|column| {
                    let text = format!(
                        "relation {}.{} has two columns named {column:?}",
                        wire.namespace, wire.name
                    );
                    Error::contradiction(&text, lsn)
                })?;
                let relation = Arc::new(relation);
                Arc::make_mut(relations).put(Arc::clone(&relation));
                Change::Relation(find(relations, relation.oid, lsn)?)
            }
            Message::Type(named) => Change::Type(named),
            Message::Logical(message) => Change::Message(message),
            _ => {
                return Err(Error::contradiction(
                    "a message that is no change lies within a transaction",
                    lsn,
                ));
            }
        };
        Ok(Some((lsn, change)))
    }
}

/// No message of the server begins with this.
const MARK: u8 = 0;

/// What stands in the contents of a piece before the first change of a subtransaction.
pub(crate) fn mark(subxid: Xid) -> [u8; 5] {
    let [a, b, c, d] = subxid.0.to_be_bytes();
    [MARK, a, b, c, d]
}

fn marked(message: &[u8]) -> Option<Xid> {
    let (&MARK, subxid) = message.split_first()? else {
        return None;
    };
    subxid
        .first_chunk()
        .map(|subxid| Xid(u32::from_be_bytes(*subxid)))
}

/// The (sub)transaction in a message from a stream block, right behind the tag.
fn carrier(message: &[u8]) -> Xid {
    let xid = message.get(1..).and_then(<[u8]>::first_chunk);
    Xid(u32::from_be_bytes(*xid.expect(
        "the message was decoded when it came, inside a block",
    )))
}

fn find(relations: &Relations, oid: Oid, lsn: Lsn) -> Result<&Arc<Relation>, Error> {
    relations.get(oid).ok_or_else(|| {
        // The one reading error the bytes cannot show: an xid taken for an oid, or the other way round.
        let text = format!(
            "a change names relation {oid}, which was never described; if that is a transaction number, the server \
             and we disagree about being inside a stream block"
        );
        Error::contradiction(&text, lsn)
    })
}

fn check(relation: &Relation, row: Tuple<'_>, lsn: Lsn) -> Result<(), Error> {
    if row.len() == relation.columns.len() {
        return Ok(());
    }
    let Relation {
        namespace,
        name,
        columns,
        ..
    } = relation;
    let text = format!(
        "a row of {namespace}.{name} has {} columns, its relation {}",
        row.len(),
        columns.len()
    );
    Err(Error::contradiction(&text, lsn))
}
