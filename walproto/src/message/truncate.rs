//! Tables that were emptied.

use core::fmt;
use core::iter::FusedIterator;

use crate::Oid;
use crate::error::{ErrorKind, Field, Result};
use crate::reader::Reader;

/// Several tables emptied by one statement.
///
/// Layout: `T`, inside a stream block the transaction (4), number of relations (4), flags (1), and each relation (4).
/// Written by `logicalrep_write_truncate` of `proto.c`. Bit 0 of the flags is `CASCADE` and bit 1 `RESTART IDENTITY`;
/// the others have no meaning yet and are ignored. A negative number, or one that the message cannot hold, is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncate<'a> {
    /// `CASCADE` was given. The published tables it reached are in the list.
    pub cascade: bool,
    /// `RESTART IDENTITY` was given.
    pub restart_identity: bool,
    /// The published tables among those emptied.
    pub relations: RelationOids<'a>,
}

impl<'a> Truncate<'a> {
    // proto.c: logicalrep_write_truncate
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        let at = r.rest();
        let count = r.length(Field::RelationCount)?;
        // Bits without a meaning yet are let through.
        let flags = r.u8(Field::Flags)?;
        let Some(len) = count.checked_mul(size_of::<Oid>()) else {
            return Err(r.error_at(at, ErrorKind::PastEnd, Field::RelationCount));
        };
        let bytes = r.bytes(len, at, Field::RelationCount)?;
        let (oids, _) = bytes.as_chunks();
        Ok(Self {
            cascade: flags & 1 != 0,
            restart_identity: flags & 2 != 0,
            relations: RelationOids(oids),
        })
    }
}

/// The tables of a [`Truncate`]: an iterator, and its own copy to begin again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RelationOids<'a>(&'a [[u8; 4]]);

#[cfg(feature = "encode")]
impl<'a> RelationOids<'a> {
    /// Oids that were laid out one after the other.
    pub(crate) const fn from_wire(oids: &'a [[u8; 4]]) -> Self {
        Self(oids)
    }

    /// The bytes of those that are left.
    pub(crate) const fn wire(&self) -> &'a [[u8; 4]] {
        self.0
    }
}

impl Iterator for RelationOids<'_> {
    type Item = Oid;

    fn next(&mut self) -> Option<Oid> {
        let (oid, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(Oid(u32::from_be_bytes(*oid)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for RelationOids<'_> {}
impl FusedIterator for RelationOids<'_> {}

impl fmt::Debug for RelationOids<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}
