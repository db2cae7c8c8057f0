//! A committed transaction as the consumer gets it, and its changes.

use std::sync::Arc;

use walproto::{Decoder, Logical, Lsn, Message, Oid, OldRow, Timestamp, Tuple, Type, Xid};

use crate::error::Error;
use crate::progress::Token;
use crate::relations::{Relation, Relations};
use crate::spool::{Complete, Messages};
use crate::transactions::{Origin, Whole};

/// A committed transaction, whole: every change that survived, none that was rolled back.
#[derive(Debug)]
pub struct Transaction {
    whole: Box<Whole>,
    token: Token,
    /// Behind the content, so that the room is free when the reader hears of it.
    complete: Option<Complete>,
}

impl Transaction {
    pub(crate) const fn new(whole: Box<Whole>, token: Token) -> Self {
        Self {
            whole,
            token,
            complete: None,
        }
    }

    /// The same, counted for as long as it takes room.
    pub(crate) fn counted(self, complete: Complete) -> Self {
        Self {
            complete: Some(complete),
            ..self
        }
    }

    /// Its number.
    pub const fn xid(&self) -> Xid {
        self.whole.xid
    }

    /// Start of its commit record. A stored position above this means that it was applied before.
    pub const fn commit_lsn(&self) -> Lsn {
        self.whole.commit_lsn
    }

    /// First byte behind its commit record: the position to store with its changes.
    pub const fn end_lsn(&self) -> Lsn {
        self.whole.end_lsn
    }

    /// When it committed, at the node it came from.
    pub const fn commit_time(&self) -> Timestamp {
        self.whole.commit_time
    }

    /// Where it came from, when it was not written on this server.
    pub const fn origin(&self) -> Option<&Origin> {
        self.whole.origin.as_ref()
    }

    /// Bytes its messages take, a measure for batches.
    pub fn size(&self) -> u64 {
        self.whole.contents.len()
    }

    /// Whether nothing in it was published.
    pub fn is_empty(&self) -> bool {
        self.whole.contents.is_empty()
    }

    /// Its changes from the beginning; reads from the local spool file where the transaction is large.
    ///
    /// # Errors
    ///
    /// When the spool file cannot be read.
    pub fn changes(&mut self) -> Result<Changes<'_>, Error> {
        let Whole {
            contents,
            aborted,
            relations,
            decoder,
            ..
        } = &mut *self.whole;
        Ok(Changes {
            messages: contents.read().map_err(Error::spool)?,
            aborted,
            relations: Arc::clone(relations),
            decoder: *decoder,
        })
    }

    /// Says that the transaction is durable in the destination; see [`Token::confirm`].
    pub fn confirm(self) {
        let token = self.into_token();
        token.confirm();
    }

    /// Drops the content and keeps the token, to confirm it later.
    pub fn into_token(self) -> Token {
        let Self {
            whole,
            token,
            complete,
        } = self;
        drop(whole);
        drop(complete);
        token
    }
}

/// Walks the changes of a [`Transaction`].
#[derive(Debug)]
pub struct Changes<'a> {
    messages: Messages<'a>,
    aborted: &'a std::collections::HashSet<Xid>,
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
