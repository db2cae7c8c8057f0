//! Our own tables, in the database that the URL names.

use mysql_async::{Row as Sent, Value};

use super::session::Session;
use crate::destination::server::{Cell, Ours, Row, migrated_by};
use crate::error::{Error, Result};

/// The tables' ledger first: without it there is no position.
const CREATE: [&str; 3] = [
    CHUNKS,
    "CREATE TABLE IF NOT EXISTS `_replicator_tables` (
    `slot` VARCHAR(64) NOT NULL,
    `oid` BIGINT NOT NULL,
    `version` BIGINT NOT NULL,
    `relfilenode` BIGINT NOT NULL,
    `schema` VARCHAR(64) NOT NULL,
    `name` VARCHAR(64) NOT NULL,
    `identity` VARCHAR(1) NOT NULL,
    `destination` VARCHAR(200) NOT NULL,
    `columns` LONGTEXT NOT NULL,
    `key` LONGTEXT NOT NULL,
    `made_by_us` BOOLEAN NOT NULL,
    `state` VARCHAR(32) NOT NULL,
    `reason` LONGTEXT,
    `sync_position` VARCHAR(32),
    PRIMARY KEY (`slot`, `oid`)
)",
    "CREATE TABLE IF NOT EXISTS `_replicator_position` (
    `slot` VARCHAR(64) NOT NULL PRIMARY KEY,
    `version` BIGINT NOT NULL,
    `state` VARCHAR(32) NOT NULL,
    `system_id` VARCHAR(64) NOT NULL,
    `timeline` BIGINT NOT NULL,
    `database` VARCHAR(64) NOT NULL,
    `publications` LONGTEXT NOT NULL,
    `lsn` VARCHAR(32) NOT NULL,
    `epoch` BIGINT NOT NULL,
    `holder` LONGTEXT NOT NULL,
    `fingerprint` LONGTEXT NOT NULL,
    `connection` BIGINT NOT NULL,
    `server_started` BIGINT NOT NULL,
    `source_time` VARCHAR(64)
)",
];

const CHUNKS: &str = "CREATE TABLE IF NOT EXISTS `_replicator_chunks` (
    `slot` VARCHAR(64) NOT NULL,
    `oid` BIGINT NOT NULL,
    `part` BIGINT NOT NULL,
    `number` BIGINT NOT NULL,
    PRIMARY KEY (`slot`, `oid`, `part`)
)";

const ADD_TIME: &str = "ALTER TABLE `_replicator_position` ADD COLUMN `source_time` VARCHAR(64)";

/// Those that are there.
pub(super) const OURS: &str = "SELECT `table_name` FROM information_schema.`tables`
     WHERE `table_schema` = DATABASE()
       AND `table_name` IN ('_replicator_position', '_replicator_tables', '_replicator_chunks')
     UNION ALL
     SELECT `column_name` FROM information_schema.`columns`
     WHERE `table_schema` = DATABASE() AND `table_name` = '_replicator_position' AND `column_name` = 'source_time'";

/// Makes them. It commits what is open.
pub(super) async fn create(db: &mut Session, ours: Ours) -> Result<()> {
    let collation = db.server.flavour.collation();
    let all = match ours {
        Ours::Ledger => &CREATE[..],
        Ours::Chunks => &[CHUNKS],
        Ours::Time => {
            let added = db.run(ADD_TIME).await;
            return added.map_err(|error| migrated_by(error, ADD_TIME));
        }
    };
    for sql in all {
        let sql = format!(
            "{sql} ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
        );
        db.run(&sql).await?;
    }
    Ok(())
}

/// A statement over the ledger in this product's words: names in backticks, parameters in the order in which they stand.
pub(super) fn statement(sql: &str, values: &[Cell]) -> (String, Vec<Value>) {
    let (mut text, mut sent) = (String::with_capacity(sql.len()), Vec::new());
    let mut parts = sql.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let rest = part.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let number = &part[..part.len() - rest.len()];
        let value = number
            .parse::<usize>()
            .ok()
            .and_then(|at| values.get(at.wrapping_sub(1)));
        sent.extend(value.map(|value| match value {
            Cell::Null => Value::NULL,
            Cell::Truth(truth) => (*truth).into(),
            Cell::Number(number) => (*number).into(),
            Cell::Text(text) => text.into(),
        }));
        text.push('?');
        text.push_str(rest);
    }
    (text.replace('"', "`"), sent)
}

/// A row of the ledger.
pub(super) fn read(row: Sent) -> Result<Row> {
    let cells = row.unwrap().into_iter().map(|value| {
        Ok(match value {
            Value::NULL => Cell::Null,
            Value::Int(number) => number.into(),
            Value::UInt(number) => i64::try_from(number).map_err(unexpected)?.into(),
            Value::Bytes(text) => String::from_utf8(text).map_err(unexpected)?.into(),
            other => return Err(unexpected(other.as_sql(true))),
        })
    });
    cells.collect::<Result<_>>().map(Row)
}

#[cold]
fn unexpected(what: impl std::fmt::Display) -> Error {
    Error::person(format!(
        "the replicator's own tables at the destination hold what no replicator wrote: {what}"
    ))
    .with_hint(
        "somebody has changed them by hand: restore the destination, or copy everything again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_in_the_order_in_which_the_statement_names_them() {
        let sql = r#"UPDATE "t" SET "n" = $3 WHERE "a" = $1 AND "b" = $2"#;
        let (text, sent) = statement(sql, &["a".into(), 2_i64.into(), Cell::Null]);
        assert_eq!(text, "UPDATE `t` SET `n` = ? WHERE `a` = ? AND `b` = ?");
        let expected = [Value::NULL, Value::Bytes(b"a".to_vec()), Value::Int(2)];
        assert_eq!(sent, expected);
    }
}
