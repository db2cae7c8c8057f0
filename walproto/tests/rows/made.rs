//! Rows and relations made up for a test.

use serde::Deserialize;
use walproto::{Column, Decoder, Message, Relation, RowError, Tuple};

/// The messages of one relation and one row.
pub(crate) struct Made {
    relation: Vec<u8>,
    row: Vec<u8>,
}

impl Made {
    /// A row of columns, each of a name, a type and a value.
    pub(crate) fn new(columns: &[(&str, u32, Column<'_>)]) -> Self {
        let count = u16::try_from(columns.len()).unwrap().to_be_bytes();
        let mut relation = b"R\0\0\0\x01public\0made\0d".to_vec();
        let mut row = b"I\0\0\0\x01N".to_vec();
        relation.extend(count);
        row.extend(count);
        for (name, type_oid, column) in columns {
            relation.push(0);
            relation.extend(name.as_bytes());
            relation.push(0);
            relation.extend(type_oid.to_be_bytes());
            relation.extend((-1_i32).to_be_bytes());
            let (kind, bytes) = match column {
                Column::Null => (b'n', None),
                Column::Unchanged => (b'u', None),
                Column::Text(text) => (b't', Some(text)),
                Column::Binary(bytes) => (b'b', Some(bytes)),
            };
            row.push(kind);
            if let Some(bytes) = bytes {
                row.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
                row.extend(*bytes);
            }
        }
        Self { relation, row }
    }

    /// One column.
    pub(crate) fn one(type_oid: u32, column: Column<'_>) -> Self {
        Self::new(&[("c", type_oid, column)])
    }

    pub(crate) fn parts(&self) -> (Relation<'_>, Tuple<'_>) {
        let mut decoder = Decoder::new().binary(true);
        let Message::Relation(relation) = decoder.decode(&self.relation).unwrap().message else {
            unreachable!();
        };
        let Message::Insert(insert) = decoder.decode(&self.row).unwrap().message else {
            unreachable!();
        };
        (relation, insert.new)
    }

    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RowError> {
        let (relation, row) = self.parts();
        row.deserialize(&relation)
    }
}
