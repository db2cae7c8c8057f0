//! What tables look like: relations, their columns, and types that are not built in.

use core::fmt;
use core::iter::FusedIterator;

use crate::Oid;
use crate::error::{ErrorKind, Field, Result};
use crate::reader::Reader;

/// Sent before the first change of a table in a session, and again after anything about the table may have changed.
///
/// Layout: `R`, inside a stream block the transaction (4), oid (4), namespace (string), name (string), replica identity
/// (1), number of columns (2), and [each column](ColumnDef). Written by `logicalrep_write_rel` of `proto.c`.
///
/// One that is equal to the last is common: `ANALYZE` is enough. Inside a stream block it holds for that transaction
/// alone until it commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// The table.
    pub oid: Oid,
    /// Its schema; empty means `pg_catalog`.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// What old rows carry.
    pub identity: ReplicaIdentity,
    /// The columns that are sent: neither dropped nor left out by a column list, generated ones only when published.
    pub columns: ColumnDefs<'a>,
}

impl<'a> Relation<'a> {
    // proto.c: logicalrep_write_rel, logicalrep_write_attrs
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            oid: r.oid(Field::RelationOid)?,
            namespace: r.name(Field::Namespace)?,
            name: r.name(Field::RelationName)?,
            identity: ReplicaIdentity::read(r)?,
            columns: ColumnDefs::read(r)?,
        })
    }
}

/// What the server tells about the old row of an update or delete, as `ALTER TABLE … REPLICA IDENTITY` set it.
///
/// Layout: one letter. Any other than these four is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplicaIdentity {
    /// `d`: the primary key, if there is one.
    Default,
    /// `n`: nothing; updates and deletes cannot be published.
    Nothing,
    /// `f`: the whole old row. Every column is then marked as part of the key.
    Full,
    /// `i`: the columns of one unique index.
    Index,
}

impl ReplicaIdentity {
    /// The letter in `pg_class.relreplident`.
    pub const fn letter(self) -> char {
        self.byte() as char
    }

    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Default => b'd',
            Self::Nothing => b'n',
            Self::Full => b'f',
            Self::Index => b'i',
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self> {
        let at = r.rest();
        match r.u8(Field::ReplicaIdentity)? {
            b'd' => Ok(Self::Default),
            b'n' => Ok(Self::Nothing),
            b'f' => Ok(Self::Full),
            b'i' => Ok(Self::Index),
            _ => Err(r.error_at(at, ErrorKind::UnexpectedByte, Field::ReplicaIdentity)),
        }
    }
}

/// The columns of a [`Relation`]: an iterator, and its own copy to begin again. It never fails, because the columns were
/// checked when they were read.
///
/// Written by `logicalrep_write_attrs` of `proto.c`. A count that the message cannot hold is an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ColumnDefs<'a> {
    left: u16,
    rest: &'a [u8],
}

impl<'a> ColumnDefs<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self> {
        let at = r.rest();
        let count = r.u16(Field::ColumnCount)?;
        let columns = r.rest();
        if usize::from(count) > columns.len() {
            return Err(r.error_at(at, ErrorKind::PastEnd, Field::ColumnCount));
        }
        for _ in 0..count {
            ColumnDef::read(r)?;
        }
        let (rest, _) = columns.split_at(columns.len() - r.rest().len());
        Ok(Self { left: count, rest })
    }

    /// Number of columns that are left.
    pub const fn len(&self) -> usize {
        self.left as usize
    }

    /// Whether no columns are left.
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }
}

#[cfg(feature = "encode")]
impl<'a> ColumnDefs<'a> {
    /// `count` columns that were laid out in `columns`.
    pub(crate) const fn from_wire(count: u16, columns: &'a [u8]) -> Self {
        Self {
            left: count,
            rest: columns,
        }
    }

    /// Number of columns that are left, and their bytes.
    pub(crate) const fn wire(&self) -> (u16, &'a [u8]) {
        (self.left, self.rest)
    }
}

impl<'a> Iterator for ColumnDefs<'a> {
    type Item = ColumnDef<'a>;

    // What `ColumnDef::read` has checked, read again without its errors: rows are read beside their columns.
    #[inline]
    fn next(&mut self) -> Option<ColumnDef<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (&flags, rest) = self.rest.split_first()?;
        let (name, rest) = rest.split_at_checked(rest.iter().position(|&byte| byte == 0)?)?;
        let (&[_, a, b, c, d], rest) = rest.split_first_chunk()?;
        let (&typmod, rest) = rest.split_first_chunk()?;
        self.rest = rest;
        Some(ColumnDef {
            key: flags & 1 != 0,
            name: core::str::from_utf8(name).ok()?,
            type_oid: Oid(u32::from_be_bytes([a, b, c, d])),
            typmod: i32::from_be_bytes(typmod),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl ExactSizeIterator for ColumnDefs<'_> {}
impl FusedIterator for ColumnDefs<'_> {}

impl fmt::Debug for ColumnDefs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// One column of a table.
///
/// Layout: flags (1), name (string), type (4), type modifier (4). Bit 0 of the flags marks the key; the others have no
/// meaning yet and are ignored, as by PostgreSQL's own reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnDef<'a> {
    /// Whether it is part of what the replica identity sends; under `FULL` every column is.
    pub key: bool,
    /// Its name.
    pub name: &'a str,
    /// Its type, as in `pg_type.oid`; for a domain the domain's own.
    pub type_oid: Oid,
    /// As `pg_attribute.atttypmod`; -1 for none. For `varchar(n)` and `char(n)` it is n + 4.
    pub typmod: i32,
}

impl<'a> ColumnDef<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            // Bits without a meaning yet are let through, as by PostgreSQL's own reader.
            key: r.u8(Field::ColumnFlags)? & 1 != 0,
            name: r.name(Field::ColumnName)?,
            type_oid: r.oid(Field::ColumnType)?,
            typmod: r.i32(Field::ColumnTypmod)?,
        })
    }
}

/// Sent before a relation for each column whose type is not built in.
///
/// Layout: `Y`, inside a stream block the transaction (4), oid (4), namespace (string), name (string). Written by
/// `logicalrep_write_typ` of `proto.c`.
///
/// It does not say what the type is made of: labels, elements and fields are in the catalog only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type<'a> {
    /// The type; for a domain the domain's own, although the names are its base type's.
    pub oid: Oid,
    /// Schema of the (base) type; empty means `pg_catalog`.
    pub namespace: &'a str,
    /// Name of the (base) type, `_name` for an array.
    pub name: &'a str,
}

impl<'a> Type<'a> {
    // proto.c: logicalrep_write_typ
    pub(crate) fn read(r: &mut Reader<'a>) -> Result<Self> {
        Ok(Self {
            oid: r.oid(Field::TypeOid)?,
            namespace: r.name(Field::Namespace)?,
            name: r.name(Field::TypeName)?,
        })
    }
}
