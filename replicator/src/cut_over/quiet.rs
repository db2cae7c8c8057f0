//! Whether anybody still writes to the source's tables: who is in the middle of it, and what was committed since a moment.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use walstream::walproto::{Decoder, Lsn, Message, Oid};
use walstream::{Client, quote_identifier, quote_literal};

use crate::error::{Error, Result};
use crate::source::{missing_field, temporary_slot};

/// A temporary slot of our own session. What commits behind it can be asked for, whoever reads the slot that is followed;
/// nothing is locked for that, and the slot goes with the session.
#[derive(Debug)]
pub(crate) struct Witness {
    name: String,
    publications: String,
}

/// Changes, by table.
pub(crate) type Changes = BTreeMap<String, u64>;

impl Witness {
    /// Begins once every transaction has ended that had written something before: who commits later is seen.
    ///
    /// # Errors
    ///
    /// One does not end within `wait`: all of them are named.
    pub(crate) async fn begin(
        client: &mut Client,
        of: &str,
        publications: &[String],
        wait: Duration,
    ) -> Result<Self> {
        let name = temporary_slot(client, of, "cut_over").await?;
        let limit = wait.as_millis().max(1);
        client
            .execute(&format!("SET lock_timeout = '{limit}ms'"))
            .await?;
        let sql = format!(
            "SELECT pg_create_logical_replication_slot({}, 'pgoutput', true)",
            quote_literal(&name)
        );
        let made = client.execute(&sql).await;
        let made = match made {
            Err(error) if error.sqlstate() == Some("55P03") => Err(waited(client, wait).await?),
            made => made.map_err(Error::from),
        };
        made?;
        client.execute("SET lock_timeout = '3s'").await?;
        Ok(Self {
            name,
            publications: listed(publications),
        })
    }

    /// What was committed in these tables since it began.
    pub(crate) async fn seen(
        &self,
        client: &mut Client,
        tables: &HashMap<Oid, String>,
    ) -> Result<Changes> {
        peek(client, &self.name, &self.publications, tables, Lsn(0)).await
    }
}

/// What a slot that nobody reads would send of these tables from transactions that commit at `from` or later.
pub(crate) async fn waiting(
    client: &mut Client,
    slot: &str,
    publications: &[String],
    tables: &HashMap<Oid, String>,
    from: Lsn,
) -> Result<Changes> {
    peek(client, slot, &listed(publications), tables, from).await
}

fn listed(publications: &[String]) -> String {
    let names: Vec<String> = publications
        .iter()
        .map(|name| quote_identifier(name))
        .collect();
    names.join(",")
}

/// Of each message only its beginning is needed: what a `Begin` says, and the numbers of tables.
const BEGINNING: usize = 4096;

async fn peek(
    client: &mut Client,
    slot: &str,
    publications: &str,
    tables: &HashMap<Oid, String>,
    from: Lsn,
) -> Result<Changes> {
    let sql = format!(
        "SELECT encode(substring(data FROM 1 FOR {BEGINNING}), 'hex')
         FROM pg_logical_slot_peek_binary_changes({}, NULL, NULL, 'proto_version', '1', 'publication_names', {})
         WHERE get_byte(data, 0) IN (ascii('B'), ascii('I'), ascii('U'), ascii('D'), ascii('T'))",
        quote_literal(slot),
        quote_literal(publications)
    );
    let rows = client.query(&sql).await?;
    let (mut changes, mut counts) = (Changes::new(), false);
    for row in &rows {
        let bytes = bytes(row.get(0).ok_or_else(|| missing_field(0))?);
        if bytes.first() == Some(&b'B') {
            let begun = Decoder::new().decode(&bytes).map(|it| it.message);
            // One that cannot be read is counted rather than passed over.
            counts = !matches!(begun, Ok(Message::Begin(begin)) if begin.final_lsn < from);
            continue;
        }
        for oid in oids(&bytes) {
            if let Some(name) = tables.get(&oid).filter(|_| counts) {
                *changes.entry(name.clone()).or_default() += 1;
            }
        }
    }
    Ok(changes)
}

/// The tables of an insert, update or delete, and of a truncate.
fn oids(message: &[u8]) -> Vec<Oid> {
    let number = |at: usize| {
        let four = message.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_be_bytes(*four))
    };
    match message.first() {
        // Their count, and a byte of options.
        Some(b'T') => {
            let count = number(1).unwrap_or(0) as usize;
            (0..count)
                .map_while(|at| number(6 + 4 * at))
                .map(Oid)
                .collect()
        }
        _ => number(1).map(Oid).into_iter().collect(),
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks_exact(2)
        .filter_map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok())
        .collect()
}

/// Changes as people read them.
pub(crate) fn words(changes: &Changes) -> String {
    let tables: Vec<String> = changes
        .iter()
        .map(|(table, count)| format!("{table} ({count})"))
        .collect();
    tables.join(", ")
}

/// Sessions that have written to one of these tables, or to a part of one, in a transaction that has not ended; and
/// prepared transactions that have.
pub(crate) async fn writers(
    client: &mut Client,
    tables: &HashMap<Oid, String>,
) -> Result<Vec<String>> {
    let oids: Vec<String> = tables.keys().map(|oid| oid.0.to_string()).collect();
    let sql = format!(
        "WITH RECURSIVE part(oid) AS (
           SELECT unnest('{{{}}}'::oid[])
           UNION SELECT i.inhrelid FROM part p JOIN pg_inherits i ON i.inhparent = p.oid
         )
         SELECT DISTINCT l.pid, l.virtualtransaction FROM pg_locks l JOIN part p ON p.oid = l.relation
         WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
           AND (l.pid IS NULL OR l.pid IN (SELECT pid FROM pg_stat_activity WHERE usesysid IS NOT NULL))",
        oids.join(", ")
    );
    let sql = format!(
        "SELECT DISTINCT CASE WHEN w.pid IS NULL THEN 'a prepared transaction (SELECT gid FROM pg_prepared_xacts)' ELSE {WHO} END
         FROM ({sql}) w LEFT JOIN pg_stat_activity a ON a.pid = w.pid ORDER BY 1"
    );
    texts(client, &sql).await
}

/// Other sessions in the source's database that are not ours, by user and application.
pub(crate) async fn connected(client: &mut Client) -> Result<Vec<String>> {
    let sql = "SELECT concat_ws(' ', count(*), 'of user', quote_ident(usename),
                 'as ' || quote_ident(nullif(application_name, '')))
               FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid IS NOT NULL
                 AND backend_type IS DISTINCT FROM 'walsender'
                 AND pid NOT IN (SELECT active_pid FROM pg_replication_slots WHERE active_pid IS NOT NULL)
                 AND application_name IS DISTINCT FROM nullif(current_setting('application_name'), '')
               GROUP BY usename, application_name ORDER BY count(*) DESC LIMIT 20";
    texts(client, sql).await
}

/// A session as people find it. What it runs may hold secrets.
const WHO: &str = "concat_ws(', ', 'process ' || a.pid, 'user ' || quote_ident(a.usename),
      'application ' || quote_ident(nullif(a.application_name, '')), a.state,
      'for ' || round(extract(epoch FROM clock_timestamp() - a.xact_start)) || ' s')";

/// What a slot that is being made waits for.
async fn waited(client: &mut Client, wait: Duration) -> Result<Error> {
    let sql = format!(
        "SELECT {WHO} FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
         WHERE l.locktype = 'transactionid' AND l.mode = 'ExclusiveLock' AND l.granted AND a.pid <> pg_backend_pid()
         UNION ALL
         SELECT 'prepared transaction ' || quote_literal(gid) || ' in database ' || quote_ident(database)
         FROM pg_prepared_xacts"
    );
    let who = texts(client, &sql).await?;
    let who = if who.is_empty() {
        "which have ended by now".to_owned()
    } else {
        who.join("; ")
    };
    Ok(Error::person(format!(
        "transactions at the source that have written something do not end within {} s: {who}",
        wait.as_secs()
    ))
    .with_hint(
        "stop the application; at the source SELECT pg_terminate_backend(PROCESS) ends a session, and COMMIT PREPARED or \
         ROLLBACK PREPARED a prepared transaction; then cut over again. Nothing was changed",
    ))
}

async fn texts(client: &mut Client, sql: &str) -> Result<Vec<String>> {
    let rows = client.query(sql).await?;
    Ok(rows
        .iter()
        .filter_map(|row| row.get(0))
        .map(str::to_owned)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_a_message_are_found() {
        let insert = [
            b'I', 0, 0, 0x40, 0x01, // table
            b'N', 0, 0,
        ];
        assert_eq!(oids(&insert), [Oid(0x4001)]);
        let truncate = [
            b'T', 0, 0, 0, 2, // tables
            0, // options
            0, 0, 0x40, 0x01, //
            0, 0, 0x40, 0x02,
        ];
        assert_eq!(oids(&truncate), [Oid(0x4001), Oid(0x4002)]);
        assert_eq!(oids(b"T"), []);
    }
}
