//! A change that the destination refuses: the statement as the destination got it, for messages.

use std::fmt::Write;

use crate::plan::{Action, Operation};
use crate::value::Value;

/// What is shown of a statement; one of 1600 columns has a hundred times as much.
const LONGEST: usize = 2000;

/// The statement and its parameters in their order, both cut where they are long.
pub(super) fn statement(sql: &str, operation: &Operation) -> String {
    let mut text = String::new();
    let end = sql.floor_char_boundary(LONGEST);
    text += &sql[..end];
    if end < sql.len() {
        text.push('…');
    }
    let (set, values): (&[(usize, Value)], &[Value]) = match &operation.action {
        Action::Insert { values } => (&[], values),
        Action::Update { set, matched } => (set, matched),
        Action::Delete { matched } => (&[], matched),
        Action::Truncate => return text,
    };
    let start = text.len();
    for (count, value) in set.iter().map(|(_, value)| value).chain(values).enumerate() {
        if text.len() - start > LONGEST {
            text.push('…');
            break;
        }
        let before = if count == 0 { " <- " } else { ", " };
        let _ = write!(text, "{before}{value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use walproto::{Lsn, Oid};

    use super::*;
    use crate::table::{Column, Table};

    fn operation(action: Action) -> Operation {
        let table = Table {
            oid: Oid(1),
            schema: "public".to_owned(),
            name: "t".to_owned(),
            destination: "t".to_owned(),
            columns: vec![Column::new("id", Oid(23), -1, Oid(23))],
            key: vec![0],
            identity: 'd',
            relfilenode: 1,
        };
        Operation {
            table: Arc::new(table),
            lsn: Lsn(1),
            action,
        }
    }

    #[test]
    fn parameters_stand_behind_the_statement_in_its_order() {
        let update = operation(Action::Update {
            set: vec![(1, Value::Text("it's".to_owned())), (2, Value::Null)],
            matched: vec![Value::Integer(7)],
        });
        assert_eq!(
            statement("UPDATE t SET v = ?, w = ? WHERE id = ?", &update),
            r"UPDATE t SET v = ?, w = ? WHERE id = ? <- 'it\'s', NULL, 7"
        );
        assert_eq!(
            statement("DELETE FROM t", &operation(Action::Truncate)),
            "DELETE FROM t"
        );
    }

    #[test]
    fn what_is_long_is_cut() {
        let values = vec![Value::Text("ä".repeat(1000)); 1600];
        let sql = "ä".repeat(5000);
        let text = statement(&sql, &operation(Action::Insert { values }));
        assert!(text.len() < 3 * LONGEST, "{}", text.len());
        assert!(text.ends_with('…'), "{text}");
    }
}
