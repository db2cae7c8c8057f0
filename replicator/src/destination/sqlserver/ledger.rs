//! Our own tables, in schema `dbo` of the database that the URL names.

use tiberius::{ColumnData, Row as Sent};

use super::session::Session;
use crate::destination::server::{Cell, Holder, Ours, Row, migrated_by};
use crate::dialect::sqlserver::ledger::{ADD_TIME, CREATE, CREATE_CHUNKS, SHARERS};
use crate::error::{Error, Result};

/// Makes them, within the transaction.
pub(super) async fn create(db: &mut Session, ours: Ours) -> Result<()> {
    let all = match ours {
        Ours::Ledger => &CREATE[..],
        Ours::Chunks => &[CREATE_CHUNKS],
        Ours::Time => {
            let added = db.run(ADD_TIME).await;
            return added.map_err(|error| migrated_by(error, ADD_TIME));
        }
    };
    for sql in all {
        db.run(sql).await?;
    }
    Ok(())
}

/// Those that have read a slot's row so that nobody changes it until their transactions end.
///
/// A server ends no transaction for lying idle, so that one of a stopped process would hold the row for ever.
pub(super) async fn sharers(db: &mut Session, slot: &str) -> Vec<Holder> {
    let slot = Cell::from(slot);
    // Who may not see other sessions waits for them.
    let rows = db.rows(SHARERS, vec![super::values::ours(&slot)]).await;
    let rows = rows.unwrap_or_default().into_iter();
    let holder = |row: Sent| match read(row).ok()?.0.as_slice() {
        [Cell::Number(number), since] => Some(Holder {
            number: *number,
            since: since.clone(),
        }),
        _ => None,
    };
    rows.filter_map(holder).collect()
}

/// A statement over the ledger in this product's words: names in brackets, our tables in their schema, and parameters as
/// the driver names them.
///
/// What moves a position takes the row from the look at it on, whatever the plan and `READ_COMMITTED_SNAPSHOT` say.
pub(super) fn statement(sql: &str) -> String {
    const MOVING: &str = "UPDATE [dbo].[_replicator_position]";
    let mut text = String::with_capacity(sql.len() + 64);
    for (count, part) in sql.split('"').enumerate() {
        if count % 2 == 0 {
            text.push_str(&part.replace('$', "@P"));
            continue;
        }
        if part.starts_with("_replicator_") {
            text.push_str("[dbo].");
        }
        text.push('[');
        text.push_str(part);
        text.push(']');
    }
    match text.strip_prefix(MOVING) {
        Some(rest) => format!("{MOVING} WITH (UPDLOCK){rest}"),
        None => text,
    }
}

/// A row of the ledger.
pub(super) fn read(row: Sent) -> Result<Row> {
    let cells = row.into_iter().map(|value| {
        Ok(match value {
            ColumnData::Bit(truth) => truth.into(),
            ColumnData::U8(number) => number.map(i64::from).into(),
            ColumnData::I16(number) => number.map(i64::from).into(),
            ColumnData::I32(number) => number.map(i64::from).into(),
            ColumnData::I64(number) => number.into(),
            ColumnData::String(text) => text.map(|text| text.into_owned()).into(),
            other => return Err(unexpected(&format!("{other:?}"))),
        })
    });
    cells.collect::<Result<_>>().map(Row)
}

#[cold]
fn unexpected(what: &str) -> Error {
    Error::person(format!(
        "the replicator's own tables at the destination hold what no replicator wrote: {what}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_said_in_the_products_words() {
        let sql = r#"SELECT MAX("version") FROM (SELECT "version" FROM "_replicator_position") AS "rows""#;
        assert_eq!(
            statement(sql),
            "SELECT MAX([version]) FROM (SELECT [version] FROM [dbo].[_replicator_position]) AS [rows]"
        );
        let sql = r#"UPDATE "_replicator_position" SET "lsn" = $1 WHERE "slot" = $12"#;
        assert_eq!(
            statement(sql),
            "UPDATE [dbo].[_replicator_position] WITH (UPDLOCK) SET [lsn] = @P1 WHERE [slot] = @P12"
        );
        let sql = r#"UPDATE "_replicator_tables" SET "state" = $1"#;
        assert!(!statement(sql).contains("UPDLOCK"));
    }
}
