//! Rows that come, change and go.

use crate::Oid;
use crate::error::{ErrorKind, Field, Result};
use crate::reader::Reader;
use crate::tuple::Tuple;

/// A new row.
///
/// Layout: `I`, inside a stream block the transaction (4), relation (4), `N`, [row](Tuple). Written by
/// `logicalrep_write_insert` of `proto.c`. Any other mark than `N` is an error.
///
/// A row filter can turn an update into an insert; then [`Column::Unchanged`](crate::Column::Unchanged) can occur.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insert<'a> {
    /// The table.
    pub relation: Oid,
    /// The row.
    pub new: Tuple<'a>,
}

impl<'a> Insert<'a> {
    // proto.c: logicalrep_write_insert
    pub(crate) fn read(r: &mut Reader<'a>, binary: bool) -> Result<Self> {
        let relation = r.oid(Field::RelationOid)?;
        new_mark(r)?;
        Ok(Self {
            relation,
            new: Tuple::read(r, binary)?,
        })
    }
}

/// A changed row.
///
/// Layout: `U`, inside a stream block the transaction (4), relation (4), perhaps [the old row](OldRow), `N`,
/// [new row](Tuple). Written by `logicalrep_write_update` of `proto.c`. Any other mark is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// The table.
    pub relation: Oid,
    /// Absent when the replica identity is a key that did not change; the new row then holds it.
    pub old: Option<OldRow<'a>>,
    /// The row now; unchanged TOASTed values are left out of it, key columns included.
    pub new: Tuple<'a>,
}

impl<'a> Update<'a> {
    // proto.c: logicalrep_write_update
    pub(crate) fn read(r: &mut Reader<'a>, binary: bool) -> Result<Self> {
        let relation = r.oid(Field::RelationOid)?;
        let old = OldRow::read(r, binary)?;
        new_mark(r)?;
        Ok(Self {
            relation,
            old,
            new: Tuple::read(r, binary)?,
        })
    }
}

/// A row that is gone.
///
/// Layout: `D`, inside a stream block the transaction (4), relation (4), [old row](OldRow). Written by
/// `logicalrep_write_delete` of `proto.c`. Any other mark than those of an old row is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delete<'a> {
    /// The table.
    pub relation: Oid,
    /// What identifies the row.
    pub old: OldRow<'a>,
}

impl<'a> Delete<'a> {
    // proto.c: logicalrep_write_delete
    pub(crate) fn read(r: &mut Reader<'a>, binary: bool) -> Result<Self> {
        let relation = r.oid(Field::RelationOid)?;
        let at = r.rest();
        match OldRow::read(r, binary)? {
            Some(old) => Ok(Self { relation, old }),
            None if at.is_empty() => Err(r.error(ErrorKind::Truncated, Field::TupleTag)),
            None => Err(r.error(ErrorKind::UnexpectedByte, Field::TupleTag)),
        }
    }
}

/// What the replica identity tells about the row as it was.
///
/// Layout: `K` or `O`, [row](Tuple).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldRow<'a> {
    /// `K`: only the key. All columns are there, and those outside the key are
    /// [`Column::Null`](crate::Column::Null) for "not sent": do not read them as NULL.
    Key(Tuple<'a>),
    /// `O`: the whole row, TOASTed values included.
    Full(Tuple<'a>),
}

impl<'a> OldRow<'a> {
    /// `None` when something else comes next.
    fn read(r: &mut Reader<'a>, binary: bool) -> Result<Option<Self>> {
        let Some((mark, rest)) = r.rest().split_first() else {
            return Ok(None);
        };
        let wrap = match mark {
            b'K' => Self::Key,
            b'O' => Self::Full,
            _ => return Ok(None),
        };
        r.continue_at(rest);
        Tuple::read(r, binary).map(wrap).map(Some)
    }

    /// The row, whichever part of it was sent.
    pub const fn tuple(&self) -> Tuple<'a> {
        match *self {
            Self::Key(tuple) | Self::Full(tuple) => tuple,
        }
    }
}

/// The mark before a new row.
fn new_mark(r: &mut Reader<'_>) -> Result<()> {
    let at = r.rest();
    match r.u8(Field::TupleTag)? {
        b'N' => Ok(()),
        _ => Err(r.error_at(at, ErrorKind::UnexpectedByte, Field::TupleTag)),
    }
}
