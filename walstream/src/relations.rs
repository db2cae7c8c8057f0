//! Tables as the stream describes them, kept by oid.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use walproto::{ColumnDef, Oid, ReplicaIdentity};

/// What a table looks like at one place of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The table.
    pub oid: Oid,
    /// Its schema.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What old rows carry.
    pub identity: ReplicaIdentity,
    /// The columns, in the order of the rows.
    pub columns: Vec<RelationColumn>,
}

/// One column of a [`Relation`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationColumn {
    /// Its name.
    pub name: String,
    /// Its type; for a domain the domain's own.
    pub type_oid: Oid,
    /// As `pg_attribute.atttypmod`; -1 for none.
    pub typmod: i32,
    /// Whether it is part of what the replica identity sends; under `FULL` every column is.
    pub key: bool,
}

impl Relation {
    /// The columns as the wire has them, for walproto's `Tuple::deserialize_columns`.
    pub fn defs(&self) -> impl ExactSizeIterator<Item = ColumnDef<'_>> + Clone {
        self.columns.iter().map(|column| ColumnDef {
            key: column.key,
            name: &column.name,
            type_oid: column.type_oid,
            typmod: column.typmod,
        })
    }

    /// An owned copy; `Err` with the name of a column that is there twice.
    pub(crate) fn read<'a>(wire: &walproto::Relation<'a>) -> Result<Self, &'a str> {
        let mut names = std::collections::HashSet::with_capacity(wire.columns.len());
        if let Some(twice) = wire
            .columns
            .map(|column| column.name)
            .find(|name| !names.insert(*name))
        {
            return Err(twice);
        }
        Ok(Self {
            oid: wire.oid,
            namespace: if wire.namespace.is_empty() {
                "pg_catalog"
            } else {
                wire.namespace
            }
            .to_owned(),
            name: wire.name.to_owned(),
            identity: wire.identity,
            columns: wire
                .columns
                .map(|column| RelationColumn {
                    name: column.name.to_owned(),
                    type_oid: column.type_oid,
                    typmod: column.typmod,
                    key: column.key,
                })
                .collect(),
        })
    }
}

/// The relations that count at one place of the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relations(HashMap<Oid, Arc<Relation>, BuildHasherDefault<Spread>>);

/// Spreads oids, which a server counts up and nobody chooses. The default hasher, which withstands chosen keys, took a
/// tenth of the way of a row of five columns.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u32(&mut self, oid: u32) {
        self.write_u64(oid.into());
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio, as in Knuth's multiplicative hashing; its good bits are the high ones.
        let product = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Relations {
    pub(crate) fn get(&self, oid: Oid) -> Option<&Arc<Relation>> {
        self.0.get(&oid)
    }

    pub(crate) fn put(&mut self, relation: Arc<Relation>) {
        self.0.insert(relation.oid, relation);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walproto::{Decoder, Message};

    #[test]
    fn the_columns_that_were_kept_are_those_of_the_wire() {
        let bytes = b"R\0\0\x40\x01public\0t\0d\0\x02\
            \x01id\0\0\0\0\x17\xff\xff\xff\xff\
            \0note\0\0\0\0\x19\0\0\0\x08";
        let Ok(Message::Relation(wire)) = Decoder::new().decode(bytes).map(|it| it.message) else {
            panic!("it is a relation");
        };
        assert!(Relation::read(&wire).unwrap().defs().eq(wire.columns));
    }
}
