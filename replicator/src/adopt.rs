//! Going on with a source that is another one, because somebody vouches for it: after an upgrade, or a failover to a server
//! whose history is not the one that the destination followed, or that does not have the slot.
//!
//! Positions of one cluster mean nothing in another, so what a run would find out by comparing them is the word of whoever
//! asks for this: that the tables at the new source hold what the destination holds, and that nothing is written there
//! until it is done. What can be compared is: publications, tables, columns, keys and row filters.
//!
//! | step | a crash after it leaves | the next attempt |
//! |---|---|---|
//! | 1. the slot is made at the new source, if it is not there | a slot that nobody reads | finds it |
//! | 2. the epoch is raised: a run that still follows the old source changes nothing any more | a higher epoch | raises it again |
//! | 3. one destination transaction gives position row and tables the new source's numbers | all of it | is told that there is nothing to do |

use std::collections::HashMap;
use std::time::Duration;

use walstream::walproto::{Lsn, Oid};
use walstream::{Client, SlotOptions, SystemIdentity};

use crate::destination::{self, Destination};
use crate::error::{Error, Result, START_ANEW};
use crate::names::TableName;
use crate::position::{PositionRow, State, TableRow, TableState};
use crate::source::{Published, PublishedTable, Source};
use crate::start::{self, make_slot};
use crate::table::{Column, Table};

/// What [`adopt`] changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adopted {
    /// Where the destination was in the old source's log.
    pub was: Lsn,
    /// Where it is in the new one's, and the slot too.
    pub position: Lsn,
    /// The slot was not there, and was made.
    pub slot_made: bool,
    /// Tables that are followed.
    pub tables: usize,
    /// Tables that are not, because they were stopped before.
    pub stopped: usize,
}

/// Has a destination go on with another source, whose tables hold what the destination holds.
///
/// The slot's position there is where the stream begins; without a slot one is made. `publications` are those that the
/// destination follows unless others are named.
///
/// # Errors
///
/// The source is the one that is followed; tables, columns, keys or filters are not the same; a table is not copied to its
/// end. Nothing is changed at the destination then.
///
/// # Cancel safety
///
/// The destination is as before or as afterwards; call it again.
pub async fn adopt(
    source: &str,
    destination: &str,
    slot: &str,
    publications: &[String],
) -> Result<Adopted> {
    walstream::check_slot_name(slot)?;
    let connection = walstream::Config::parse(source)?;
    let mut source = Source::new(Client::connect(&connection).await?);
    source.do_not_wait_for_locks().await?;
    let mut wire = Client::connect_replication(&connection).await?;
    let system = wire.identify_system().await?;
    let mut destination =
        destination::open_existing(destination, slot, Duration::from_secs(1)).await?;
    let row = destination.position(slot).await?;
    let row = row
        .filter(|row| row.state != State::Intent)
        .ok_or_else(|| {
            Error::usage(format!("the destination does not follow slot {slot:?}"))
                .with_hint("give the --slot and --destination that the run was given")
        })?;
    let has_slot = source.client().slot(slot).await?.is_some();
    is_another(&row, &system, &mut wire, has_slot).await?;
    let publications = match publications {
        [] => row.publications.clone(),
        named => named.to_vec(),
    };
    if let Some(name) = source.missing(&publications).await?.first() {
        return Err(start::publication_missing(name, false).with_hint(
            "make it there with the tables that it had, or name another with --publication",
        ));
    }
    let published = source.published(&publications).await?;
    let rows = destination.tables(slot).await?;
    let tables = renumbered(&rows, &row.fingerprint, &published)?;
    let (at, slot_made) = slot_position(&mut source, &mut wire, slot, &system).await?;

    let held = destination.raise_epoch(slot, &start::holder()).await?;
    let next = PositionRow {
        system_id: system.system_id.clone(),
        timeline: system.timeline,
        database: system.database.clone().unwrap_or_default(),
        publications,
        lsn: at,
        fingerprint: fingerprint(&row.fingerprint, &published),
        // Another server's clock, and what it has to say may be older than now.
        source_time: None,
        ..held.clone()
    };
    let tables: Vec<(Oid, TableRow)> = tables
        .into_iter()
        .map(|(oid, table)| {
            let sync_position = table.sync_position.map(|_| at);
            (
                oid,
                TableRow {
                    sync_position,
                    ..table
                },
            )
        })
        .collect();
    destination.adopt(&held, &next, &tables).await?;
    destination.close().await?;
    let stopped = |(_, row): &&(Oid, TableRow)| matches!(row.state, TableState::Stopped(_));
    let stopped = tables.iter().filter(stopped).count();
    Ok(Adopted {
        was: row.lsn,
        position: at,
        slot_made,
        tables: tables.len() - stopped,
        stopped,
    })
}

/// Refuses the source that is followed anyway.
async fn is_another(
    row: &PositionRow,
    system: &SystemIdentity,
    wire: &mut Client,
    has_slot: bool,
) -> Result<()> {
    let database = system.database.as_deref().unwrap_or_default();
    if row.system_id != system.system_id || row.database != database {
        return Ok(());
    }
    let mut left = None;
    if system.timeline > 1 {
        let history = wire.timeline_history(system.timeline).await?;
        let mut switches = history.iter();
        left = switches
            .find(|switch| switch.timeline == row.timeline)
            .map(|switch| switch.switch);
    }
    let reached = row.timeline == system.timeline || left.is_some_and(|switch| row.lsn <= switch);
    // A promoted standby to which the slot was not copied. Where nothing was promoted somebody dropped it, and what was
    // written since is nobody's to vouch for.
    if !reached || !has_slot && row.timeline < system.timeline {
        return Ok(());
    }
    if !has_slot {
        return Err(start::slot_gone(row, system.timeline));
    }
    Err(Error::usage(format!(
        "the destination follows this source already: database {database:?} of system {}, at {}",
        system.system_id, row.lsn
    ))
    .with_hint("there is nothing to adopt: replicator run goes on"))
}

/// The slot's position, from which on changes are sent.
async fn slot_position(
    source: &mut Source,
    wire: &mut Client,
    name: &str,
    system: &SystemIdentity,
) -> Result<(Lsn, bool)> {
    let Some(slot) = source.client().slot(name).await? else {
        let made = make_slot(source, wire, name, &SlotOptions::default()).await?;
        return Ok((made.consistent_point, true));
    };
    start::usable(&slot, system)?;
    if let Some(pid) = slot.active_pid {
        return Err(Error::retry(format!(
            "replication slot {name:?} is in use by the server process {pid}"
        ))
        .with_hint("stop whoever reads it"));
    }
    let at = slot.confirmed_flush.ok_or_else(|| {
        Error::person(format!(
            "replication slot {name:?} has no confirmed position"
        ))
        .with_hint("drop it; this makes another")
    })?;
    Ok((at, false))
}

/// The ledger's tables with the numbers that they have at the new source, by those that they had.
///
/// # Errors
///
/// Names every table that is not the same there.
fn renumbered(rows: &[TableRow], was: &str, published: &Published) -> Result<Vec<(Oid, TableRow)>> {
    let by_name: HashMap<TableName, &PublishedTable> = published
        .tables
        .iter()
        .map(|it| (name(&it.table), it))
        .collect();
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for row in rows {
        let table = &row.table;
        let (oid, found) = (table.oid, by_name.get(&name(table)));
        let why = match (&row.state, found) {
            // What stopped it holds there too. Its old number may be another table's.
            (TableState::Stopped(_), found) => {
                // One that is not there gets a number that no table has.
                let nobodys = Oid(u32::MAX - u32::try_from(all.len()).unwrap_or_default());
                let now = found.map_or(nobodys, |it| it.table.oid);
                let table = Table {
                    oid: now,
                    ..table.clone()
                };
                all.push((
                    oid,
                    TableRow {
                        table,
                        ..row.clone()
                    },
                ));
                continue;
            }
            (TableState::Copying | TableState::CatchingUp, _) => {
                "it is not copied to its end".to_owned()
            }
            (TableState::Streaming, None) => "the publications there do not have it".to_owned(),
            (TableState::Streaming, Some(it)) => match difference(table, it, was, published) {
                Some(why) => why,
                None => {
                    let table = Table {
                        destination: table.destination.clone(),
                        ..it.table.clone()
                    };
                    all.push((
                        oid,
                        TableRow {
                            table,
                            ..row.clone()
                        },
                    ));
                    continue;
                }
            },
        };
        wrong.push(format!("table {table}: {why}"));
    }
    if wrong.is_empty() {
        return Ok(all);
    }
    Err(Error::person(format!(
        "the new source is not what the destination follows: {}",
        wrong.join("; ")
    ))
    .with_hint(format!(
        "mend the source, or the run that is not at its end, and adopt again; or {START_ANEW}"
    )))
}

/// What is published there, and what was left out of it by options.
fn fingerprint(was: &str, published: &Published) -> String {
    let left_out = was.lines().filter(|line| line.starts_with("except "));
    let mut lines: Vec<&str> = left_out.chain(published.fingerprint.lines()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn name(table: &Table) -> TableName {
    TableName::new(&*table.schema, &*table.name)
}

/// What about a table is not as it was.
fn difference(
    table: &Table,
    it: &PublishedTable,
    was: &str,
    published: &Published,
) -> Option<String> {
    let other = &it.table;
    let same = |(before, now): (&Column, &Column)| {
        // Types that a user made have other numbers in each cluster.
        let own = |column: &Column| column.type_oid.0 >= 16_384;
        before.name == now.name
            && before.typmod == now.typmod
            && (before.type_oid == now.type_oid || own(before) && own(now))
    };
    let columns = table.columns.len() == other.columns.len()
        && table.columns.iter().zip(&other.columns).all(same);
    if !columns {
        return Some("it has other columns there".to_owned());
    }
    if table.key != other.key {
        return Some("it has another key there".to_owned());
    }
    let before = crate::changes::filter(was, table.oid);
    let now = crate::changes::filter(&published.fingerprint, other.oid);
    (before != now).then(|| "it has another row filter there".to_owned())
}
