//! A table as it was when we began to follow it: what the ledger keeps and every change is held against.

use std::fmt;

use serde::{Deserialize, Serialize};
use walproto::{Lsn, Oid, ReplicaIdentity};
use walstream::Relation;

use crate::error::Error;
use crate::value::{Kind, ValueError};

/// A source table and its place at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The source's number for it.
    pub oid: Oid,
    /// Its schema at the source.
    pub schema: String,
    /// Its name at the source.
    pub name: String,
    /// Its name at the destination; empty until the destination gave it one.
    pub destination: String,
    /// The published columns, in the order in which rows carry them.
    pub columns: Vec<Column>,
    /// The columns that identify a row, as places in `columns`, in the key's own order. Empty where there is no
    /// usable key: a row is then matched on all columns.
    pub key: Vec<usize>,
    /// `pg_class.relreplident`.
    pub identity: char,
    /// Changes when the table is rewritten or truncated; 0 for a partitioned table.
    pub relfilenode: u32,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "ColumnRecord", into = "ColumnRecord")]
pub struct Column {
    /// Its name, at both sides.
    pub name: String,
    /// Its type; for a domain the domain's own.
    pub type_oid: Oid,
    /// As `pg_attribute.atttypmod`; -1 for none.
    pub typmod: i32,
    /// Its type with domains resolved.
    pub base_oid: Oid,
    /// What its text means; follows from `base_oid`.
    pub kind: Kind,
    /// `pg_attribute.attnum`, which no other column of the table ever has; `None` where nobody knows it.
    pub attnum: Option<i16>,
}

impl Column {
    /// A column of type `type_oid`, which is `base_oid` once domains are resolved.
    pub fn new(name: impl Into<String>, type_oid: Oid, typmod: i32, base_oid: Oid) -> Self {
        Self {
            name: name.into(),
            type_oid,
            typmod,
            base_oid,
            kind: Kind::of(base_oid),
            attnum: None,
        }
    }

    /// The same with its `pg_attribute.attnum`.
    pub const fn with_attnum(mut self, attnum: Option<i16>) -> Self {
        self.attnum = attnum;
        self
    }

    /// Whether both have the same name and type, so that the stream does not tell one from the other.
    pub(crate) fn looks_like(&self, other: &Self) -> bool {
        (&self.name, self.type_oid, self.typmod) == (&other.name, other.type_oid, other.typmod)
    }

    /// Whether it is known that one of them came when the other was gone.
    pub(crate) fn is_another_than(&self, other: &Self) -> bool {
        let both = self.attnum.zip(other.attnum);
        both.is_some_and(|(ours, theirs)| ours != theirs)
    }
}

/// A column as the ledger has it.
#[derive(Serialize, Deserialize)]
struct ColumnRecord {
    name: String,
    #[serde(rename = "type")]
    type_oid: u32,
    typmod: i32,
    base: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    attnum: Option<i16>,
}

impl From<ColumnRecord> for Column {
    fn from(record: ColumnRecord) -> Self {
        let ColumnRecord {
            name,
            type_oid,
            typmod,
            base,
            attnum,
        } = record;
        Self::new(name, Oid(type_oid), typmod, Oid(base)).with_attnum(attnum)
    }
}

impl From<Column> for ColumnRecord {
    fn from(column: Column) -> Self {
        Self {
            name: column.name,
            type_oid: column.type_oid.0,
            typmod: column.typmod,
            base: column.base_oid.0,
            attnum: column.attnum,
        }
    }
}

impl Table {
    /// The columns that find a row at the destination: the key, or all of them where there is none.
    pub fn matched(&self) -> impl ExactSizeIterator<Item = usize> {
        let all = if self.key.is_empty() {
            self.columns.len()
        } else {
            0
        };
        let count = self.key.len() + all;
        (0..count).map(move |at| self.key.get(at).copied().unwrap_or(at))
    }

    /// Whether a destination table that was made for one serves the other as well.
    pub(crate) fn is_made_as(&self, other: &Self) -> bool {
        self.key == other.key && self.columns_look_like(other)
    }

    /// Whether the columns have the same names and types, in the same order.
    pub(crate) fn columns_look_like(&self, other: &Self) -> bool {
        let mut columns = self.columns.iter().zip(&other.columns);
        self.columns.len() == other.columns.len()
            && columns
                .all(|(ours, theirs)| ours.looks_like(theirs) && ours.base_oid == theirs.base_oid)
    }

    /// A column that was dropped at the source while another one of its name and type came, of which the stream says nothing.
    pub(crate) fn remade_column(&self, now: &Self) -> Option<&Column> {
        self.columns.iter().find(|was| {
            let mut now = now.columns.iter();
            now.any(|is| was.looks_like(is) && was.is_another_than(is))
        })
    }

    /// Whether the stream still speaks of the table that we know.
    ///
    /// The replica identity may change as long as updates and deletes still carry our key.
    ///
    /// # Errors
    ///
    /// Says in words what is different: the schema, the name, a column, or a key that is no longer sent.
    pub fn matches(&self, relation: &Relation) -> Result<(), String> {
        self.begins_as(relation)?;
        if let Some(new) = relation.columns.get(self.columns.len()) {
            return Err(format!("column {} is new", new.name));
        }
        self.key_still_sent(relation)
    }

    /// How the table of the stream differs from the one that we know, if it does.
    pub(crate) fn difference(&self, relation: &Relation) -> Option<Difference> {
        let words = self.matches(relation).err()?;
        // PostgreSQL adds columns at the end, and nowhere else.
        let only_more = self.begins_as(relation).is_ok() && self.key_still_sent(relation).is_ok();
        Some(if only_more {
            Difference::Added
        } else {
            Difference::Other(words)
        })
    }

    /// As [`matches`](Self::matches), whatever columns and keys come behind.
    fn begins_as(&self, relation: &Relation) -> Result<(), String> {
        if !self.is_named_as(relation) {
            return Err(format!(
                "it is {}.{} now",
                relation.namespace, relation.name
            ));
        }
        for (at, (ours, theirs)) in self.columns.iter().zip(&relation.columns).enumerate() {
            if ours.name != theirs.name {
                return Err(format!(
                    "column {} was {} and is {} now",
                    at + 1,
                    ours.name,
                    theirs.name
                ));
            }
            if ours.type_oid != theirs.type_oid {
                let (was, is) = (ours.type_oid, theirs.type_oid);
                return Err(format!(
                    "the type of column {} had oid {was} and has {is} now",
                    ours.name
                ));
            }
            if ours.typmod != theirs.typmod {
                let (was, is) = (ours.typmod, theirs.typmod);
                return Err(format!(
                    "the type modifier of column {} was {was} and is {is} now",
                    ours.name
                ));
            }
        }
        match self.columns.get(relation.columns.len()) {
            Some(gone) => Err(format!("column {} is gone", gone.name)),
            None => Ok(()),
        }
    }

    /// Whether both have the same schema and name.
    pub(crate) fn is_named_as(&self, relation: &Relation) -> bool {
        (&self.schema, &self.name) == (&relation.namespace, &relation.name)
    }

    fn key_still_sent(&self, relation: &Relation) -> Result<(), String> {
        if matches!(
            relation.identity,
            ReplicaIdentity::Full | ReplicaIdentity::Nothing
        ) {
            // The whole old row holds any key; without an identity no update or delete can come.
            return Ok(());
        }
        let flagged = |at: usize| relation.columns.get(at).is_some_and(|column| column.key);
        let count = relation.columns.iter().filter(|column| column.key).count();
        if count == 0 {
            // A default identity without a primary key: no update or delete can come either.
            return Ok(());
        }
        if count == self.key.len() && self.key.iter().all(|at| flagged(*at)) {
            return Ok(());
        }
        let names = |places: &mut dyn Iterator<Item = usize>| {
            let names: Vec<&str> = places
                .filter_map(|at| self.columns.get(at))
                .map(|c| c.name.as_str())
                .collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        let was = names(&mut self.key.iter().copied());
        let is = names(&mut (0..relation.columns.len()).filter(|at| flagged(*at)));
        Err(format!("its key was {was} and is {is} now"))
    }
}

/// What is different about a table of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// It has more columns at its end, and nothing else.
    Added,
    /// Something else, in words.
    Other(String),
}

impl fmt::Display for Table {
    /// Schema and name at the source, for messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

impl ValueError {
    /// The refusal with its place: table, column and position.
    pub fn at(self, table: &Table, column: &Column, lsn: Lsn) -> Error {
        Error::person(format!(
            "table {table}, column {}, at {lsn}: {self}",
            column.name
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use walstream::RelationColumn;

    fn table(key: &[usize]) -> Table {
        Table {
            oid: Oid(16384),
            schema: "public".to_owned(),
            name: "orders".to_owned(),
            destination: "orders".to_owned(),
            columns: vec![
                Column::new("id", Oid(23), -1, Oid(23)),
                Column::new("total", Oid(1700), 655_366, Oid(1700)),
                Column::new("note", Oid(16_999), -1, Oid(25)),
            ],
            key: key.to_vec(),
            identity: 'd',
            relfilenode: 16384,
        }
    }

    fn relation(identity: ReplicaIdentity, key: &[usize]) -> Relation {
        let table = table(key);
        Relation {
            oid: table.oid,
            namespace: table.schema,
            name: table.name,
            identity,
            columns: table
                .columns
                .into_iter()
                .enumerate()
                .map(|(at, column)| RelationColumn {
                    name: column.name,
                    type_oid: column.type_oid,
                    typmod: column.typmod,
                    key: key.contains(&at),
                })
                .collect(),
        }
    }

    #[test]
    fn a_column_keeps_its_attnum_and_older_ledgers_have_none() {
        let column = Column::new("id", Oid(23), -1, Oid(23));
        let old = r#"{"name":"id","type":23,"typmod":-1,"base":23}"#;
        assert_eq!(serde_json::to_string(&column).unwrap(), old);
        assert_eq!(serde_json::from_str::<Column>(old).unwrap(), column);
        let column = column.with_attnum(Some(7));
        let text = serde_json::to_string(&column).unwrap();
        assert!(text.ends_with(r#","attnum":7}"#), "{text}");
        assert_eq!(serde_json::from_str::<Column>(&text).unwrap(), column);
    }

    #[test]
    fn the_same_table_sent_again_changes_nothing() {
        assert_eq!(
            table(&[0]).matches(&relation(ReplicaIdentity::Default, &[0])),
            Ok(())
        );
    }

    #[test]
    fn every_change_of_meaning_is_named() {
        let differs = |change: fn(&mut Relation)| {
            let mut relation = relation(ReplicaIdentity::Default, &[0]);
            change(&mut relation);
            table(&[0]).matches(&relation).unwrap_err()
        };
        assert_eq!(
            differs(|r| r.namespace = "old".to_owned()),
            "it is old.orders now"
        );
        assert_eq!(
            differs(|r| r.name = "orders2".to_owned()),
            "it is public.orders2 now"
        );
        assert_eq!(
            differs(|r| r.columns[1].name = "sum".to_owned()),
            "column 2 was total and is sum now"
        );
        assert_eq!(
            differs(|r| r.columns.swap(1, 2)),
            "column 2 was total and is note now"
        );
        assert_eq!(
            differs(|r| r.columns[0].type_oid = Oid(20)),
            "the type of column id had oid 23 and has 20 now"
        );
        assert_eq!(
            differs(|r| r.columns[1].typmod = -1),
            "the type modifier of column total was 655366 and is -1 now"
        );
        assert_eq!(differs(|r| r.columns.truncate(2)), "column note is gone");
        assert_eq!(
            differs(|r| {
                let mut new = r.columns[0].clone();
                new.name = "new".to_owned();
                r.columns.push(new);
            }),
            "column new is new"
        );
    }

    #[test]
    fn columns_at_the_end_are_told_from_every_other_change() {
        use ReplicaIdentity::{Default, Full};
        let differs = |identity, change: fn(&mut Relation)| {
            let mut relation = relation(identity, &[0]);
            let mut new = relation.columns[1].clone();
            new.name = "new".to_owned();
            relation.columns.push(new);
            change(&mut relation);
            table(&[0]).difference(&relation)
        };
        let other = |words: &str| Some(Difference::Other(words.to_owned()));
        let added = Some(Difference::Added);
        assert_eq!(differs(Default, |_| {}), added);
        assert_eq!(differs(Default, |r| drop(r.columns.pop())), None);
        // Under FULL every column is flagged, the new one too.
        let all = |r: &mut Relation| r.columns.iter_mut().for_each(|column| column.key = true);
        assert_eq!(differs(Full, all), added);
        assert_eq!(
            differs(Default, |r| r.columns[3].key = true),
            other("column new is new"),
            "a key that grew"
        );
        assert_eq!(
            differs(Default, |r| drop(r.columns.remove(2))),
            other("column 3 was note and is new now"),
            "one went, one came"
        );
        assert_eq!(
            differs(Default, |r| r.name = "orders2".to_owned()),
            other("it is public.orders2 now")
        );
    }

    #[test]
    fn the_identity_may_change_while_our_key_is_sent() {
        use ReplicaIdentity::{Default, Full, Index, Nothing};
        let every = [0, 1, 2];
        for (ours, identity, flagged, fine) in [
            (&[0][..], Index, &[0][..], true),
            (&[0], Full, &every, true),
            (&[0], Nothing, &[], true),
            (&[0], Default, &[], true),
            (&[0], Index, &[1], false),
            (&[0], Default, &[0, 1], false),
            (&[1, 0], Default, &[0, 1], true),
            (&[], Full, &every, true),
            (&[], Default, &[], true),
            (&[], Nothing, &[], true),
            (&[], Default, &[0], false),
        ] {
            let answer = table(ours).matches(&relation(identity, flagged));
            assert_eq!(
                answer.is_ok(),
                fine,
                "{ours:?} {identity:?} {flagged:?}: {answer:?}"
            );
        }
        let answer = table(&[]).matches(&relation(Index, &[0, 1]));
        assert_eq!(
            answer,
            Err("its key was none and is id, total now".to_owned())
        );
    }

    #[test]
    fn rows_are_matched_on_the_key_or_on_everything() {
        assert_eq!(table(&[1, 0]).matched().collect::<Vec<_>>(), [1, 0]);
        assert_eq!(table(&[]).matched().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn columns_survive_the_ledger_with_their_kind() {
        let columns = table(&[0]).columns;
        let json = serde_json::to_string(&columns).unwrap();
        assert!(
            json.starts_with(r#"[{"name":"id","type":23,"typmod":-1,"base":23}"#),
            "{json}"
        );
        assert_eq!(serde_json::from_str::<Vec<Column>>(&json).unwrap(), columns);
    }

    #[test]
    fn a_refused_value_is_named_with_its_place() {
        let table = table(&[0]);
        let error = crate::value::Value::from_text(Kind::Int4, b"x")
            .unwrap_err()
            .at(&table, &table.columns[0], Lsn(0x1_0000_0002));
        assert_eq!(
            error.to_string(),
            "table public.orders, column id, at 1/2: 'x' is not what PostgreSQL prints for type integer"
        );
        assert_eq!(error.exit_code(), 3);
    }
}
