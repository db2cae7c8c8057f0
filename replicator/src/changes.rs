//! What became of the tables that are followed: which go, which come, and which are others under their old names.
//!
//! The ledger says what is followed, by the source's object numbers; the catalog says what is published now. A table of
//! which a change may be missing from the stream is stopped, with the reason in the ledger, and never goes on by itself;
//! one that is new gets its row, and is copied. Each step may be repeated: what the ledger has already is no news, so a
//! crash between them leaves nothing that the next look does not see. The new fingerprint comes last.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use walstream::walproto::Oid;

use crate::config::Config;
use crate::destination::Destination;
use crate::error::{Result, START_ANEW};
use crate::fail_point;
use crate::names::{TableName, TablePattern};
use crate::position::{TableRow, TableState};
use crate::selection::Selection;
use crate::source::{Published, Source};
use crate::start::publication_changed;
use crate::table::{Column, Table};

/// What has to be done about single tables.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    /// The ledger's tables.
    rows: Vec<TableRow>,
    /// What is published.
    now: Published,
    /// Followed, and not any more.
    pub(crate) stop: Vec<(Table, String)>,
    /// New, to be copied.
    pub(crate) join: Vec<Table>,
    /// To be copied anyway, and another one by now.
    replace: Vec<(Table, Oid)>,
    /// Published, but not followed.
    pub(crate) left: Vec<(Table, &'static str)>,
}

/// How a table that is stopped comes back.
pub(crate) fn resync(table: &Table) -> String {
    format!("to copy it anew: replicator resync --table {}", name(table))
}

/// The command for that.
pub(crate) fn resync_command(config: &Config, table: &Table) -> String {
    let (slot, table) = (&config.slot, name(table).to_string());
    format!(
        "replicator resync --slot {slot} --table '{}'",
        table.replace('\'', r"'\''")
    )
}

fn name(table: &Table) -> TableName {
    TableName::new(&*table.schema, &*table.name)
}

/// What is different from what the ledger was brought to last, whose fingerprint is `was`.
///
/// # Errors
///
/// A publication itself is another one, or publishes other kinds of changes: that is for all tables.
pub(crate) async fn find(
    config: &Config,
    source: &mut Source,
    destination: &mut impl Destination,
    publications: &[String],
    was: &str,
) -> Result<Changes> {
    let rows = destination.tables(&config.slot).await?;
    find_among(config, source, rows, publications, was).await
}

/// As [`find`], where the ledger's tables are known.
pub(crate) async fn find_among(
    config: &Config,
    source: &mut Source,
    rows: Vec<TableRow>,
    publications: &[String],
    was: &str,
) -> Result<Changes> {
    let published = source.published(publications).await?;
    let gone = rows.iter().map(|row| row.table.oid);
    let gone: Vec<Oid> = gone.filter(|oid| published.find(*oid).is_none()).collect();
    let there = source.unlogged(&gone).await?;
    compare(was, rows, published, &there, &config.selection)
}

/// Brings the ledger to it; tables that join have their names at the destination. The fingerprint is for the caller to
/// store afterwards.
pub(crate) async fn settle(
    config: &Config,
    destination: &mut impl Destination,
    changes: Changes,
) -> Result<Published> {
    let slot = &config.slot;
    for (table, why) in &changes.stop {
        destination.stop_table(slot, table.oid, why).await?;
        tracing::error!(%table, "stopped: {why}; {}", resync(table));
        fail_point!("table-stopped");
    }
    for (table, now) in &changes.replace {
        destination.ask_copy(slot, table.oid, *now).await?;
    }
    for (table, why) in &changes.left {
        tracing::warn!(%table, "published, but not followed: {why}");
    }
    let existing = config.existing_to_copy();
    for table in changes.join {
        let mut rows = changes.rows.iter();
        if let Some(other) = rows.find(|row| row.table.destination == table.destination) {
            let (name, other) = (&table.destination, &other.table);
            tracing::warn!(%table, "published, but not followed: {name} at the destination belongs to table {other}; give it another name with --map-table");
            continue;
        }
        let table = Arc::new(table);
        destination.create_table(slot, &table, existing).await?;
        tracing::info!(%table, "new in the publication; it is copied and joins");
        fail_point!("table-joins");
    }
    Ok(changes.now)
}

fn compare(
    was: &str,
    rows: Vec<TableRow>,
    now: Published,
    there: &HashMap<Oid, bool>,
    selection: &Selection,
) -> Result<Changes> {
    let is = &*now.fingerprint;
    // Decoding looks publications up as of each change: what one that was made again did not have is lost to all.
    let whole = |text| -> BTreeSet<String> { lines(text, "publication").collect() };
    let (schemas_were, schemas_are) = (schemas(was), schemas(is));
    let remade = |(schema, line): (&&str, &&str)| {
        let now = schemas_are.get(schema);
        now.is_some_and(|now| now != line)
    };
    if whole(was) != whole(is) || schemas_were.iter().any(remade) {
        return Err(publication_changed(was, is));
    }
    let except = |text| -> BTreeSet<String> { lines(text, "except").collect() };
    let shown: Vec<TablePattern> = except(was)
        .difference(&except(is))
        .filter_map(|line| line.strip_prefix("except ")?.parse().ok())
        .collect();
    let is_new = |table: &&Table| !rows.iter().any(|row| row.table.oid == table.oid);
    let mut new = now.tables.iter().map(|it| &it.table).filter(is_new);
    if new.any(|it| shown.iter().any(|pattern| pattern.is(&it.schema, &it.name))) {
        // Rather than show a table that somebody forgot to leave out this time.
        return Err(publication_changed(was, is).with_hint(format!(
            "give --exclude-tables as when the destination was filled; {START_ANEW}"
        )));
    }
    let schema_came = schemas_are.len() > schemas_were.len();
    let (mut stop, mut replace) = (Vec::new(), Vec::new());
    let (mut join, mut left) = (Vec::new(), Vec::new());
    for row in &rows {
        let table = &row.table;
        let namesake = || {
            let same = |it: &&crate::source::PublishedTable| name(&it.table) == name(table);
            now.tables.iter().find(same).map(|it| it.table.oid)
        };
        let why = match (&row.state, now.find(table.oid)) {
            (TableState::Stopped(_), _) | (TableState::Copying, Some(_)) => continue,
            (TableState::Copying, None) => match namesake() {
                Some(oid) => {
                    replace.push((table.clone(), oid));
                    continue;
                }
                None => gone(there.get(&table.oid)),
            },
            (_, None) if namesake().is_some() => {
                "dropped and made again: another table has its name now".to_owned()
            }
            (_, None) => gone(there.get(&table.oid)),
            (_, Some(it)) if name(&it.table) != name(table) => renamed(&name(&it.table)),
            (_, Some(it)) => {
                let (before, after) = (listed(was, table.oid), listed(is, table.oid));
                let filtered = before.iter().all(|line| has_filter(line)) && !before.is_empty();
                if before != after {
                    "its row filter, its column list or its place in the publication changed, and changes may be missing \
                     from the stream"
                        .to_owned()
                } else if schema_came && filtered && it.filter.is_none() {
                    "all of its rows are published now, and not only those of its row filter"
                        .to_owned()
                } else if table.columns_look_like(&it.table)
                    && let Some(column) = table.remade_column(&it.table)
                {
                    // What else is different is in the stream, at its place.
                    column_remade(column)
                } else {
                    continue;
                }
            }
        };
        stop.push((table.clone(), why));
    }
    for it in &now.tables {
        let table = &it.table;
        if rows.iter().any(|row| row.table.oid == table.oid)
            || replace
                .iter()
                .any(|(_, oid): &(Table, Oid)| *oid == table.oid)
        {
            continue;
        }
        if !selection.selects(&table.schema, &table.name) {
            left.push((table.clone(), "--tables does not name it"));
        } else if rows.iter().any(|row| name(&row.table) == name(table)) {
            let why = "the destination has the rows of another table that had its name; replicator resync --table with \
                       its name copies this one over them";
            left.push((table.clone(), why));
        } else {
            join.push(table.clone());
        }
    }
    Ok(Changes {
        rows,
        now,
        stop,
        join,
        replace,
        left,
    })
}

/// Why a table is stopped that has this name now.
pub(crate) fn renamed(name: &TableName) -> String {
    format!("it is called {name} now; give it its name back first")
}

/// Why a table is stopped, or waited for, of which this column is another one by now.
pub(crate) fn column_remade(column: &Column) -> String {
    format!(
        "column {} was dropped at the source, and there is another one of its name: the destination's rows have the values of \
         the old one",
        column.name
    )
}

fn gone(unlogged: Option<&bool>) -> String {
    match unlogged {
        None => "it was dropped at the source",
        Some(true) => "it is unlogged now, and changes of it are not in the stream",
        Some(false) => "it is not in the publication any more",
    }
    .to_owned()
}

fn lines<'a>(text: &'a str, kind: &'a str) -> impl Iterator<Item = String> + 'a {
    let of_kind = move |line: &&str| line.split(' ').next() == Some(kind);
    text.lines().filter(of_kind).map(str::to_owned)
}

/// The lines of schemas that are published, by the schema's number.
fn schemas(text: &str) -> HashMap<&str, &str> {
    let schemas = text.lines().filter(|line| line.starts_with("schema "));
    schemas
        .filter_map(|line| Some((line.split(' ').nth(3)?, line)))
        .collect()
}

/// The lines that name a table.
fn listed(text: &str, oid: Oid) -> BTreeSet<String> {
    let oid = oid.0.to_string();
    lines(text, "table")
        .filter(|line| line.split(' ').nth(3) == Some(&oid))
        .collect()
}

/// A table's row filters, as the server prints them.
pub(crate) fn filter(text: &str, oid: Oid) -> BTreeSet<String> {
    let filter = |line: String| {
        let words = line.split(' ').skip(4);
        // Columns are numbers.
        let words = words.skip_while(|word| word.parse::<i64>().is_ok());
        words.collect::<Vec<_>>().join(" ")
    };
    listed(text, oid).into_iter().map(filter).collect()
}

/// Whether such a line has a row filter; columns are numbers.
fn has_filter(line: &str) -> bool {
    let mut rest = line.split(' ').skip(4);
    rest.any(|word| word.parse::<i64>().is_err())
}

/// Says which tables are not followed any more.
pub(crate) fn say_stopped(rows: &[TableRow]) {
    for row in rows {
        if let TableState::Stopped(why) = &row.state {
            let table = &row.table;
            tracing::warn!(%table, "stopped and not followed: {why}; {}", resync(table));
        }
    }
}

#[cfg(test)]
mod tests {
    use walstream::walproto::Lsn;

    use super::*;
    use crate::source::PublishedTable;

    fn table(oid: u32, name: &str) -> Table {
        Table {
            oid: Oid(oid),
            schema: "public".to_owned(),
            name: name.to_owned(),
            destination: name.to_owned(),
            columns: Vec::new(),
            key: Vec::new(),
            identity: 'd',
            relfilenode: oid,
        }
    }

    fn row(oid: u32, name: &str, state: TableState) -> TableRow {
        TableRow {
            table: table(oid, name),
            made_by_us: true,
            state,
            sync_position: Some(Lsn(1)),
        }
    }

    fn now(fingerprint: &str, tables: &[(u32, &str)]) -> Published {
        let tables = tables.iter().map(|(oid, name)| PublishedTable {
            table: table(*oid, name),
            filter: None,
            partitioned: false,
        });
        Published {
            fingerprint: fingerprint.to_owned(),
            relnatts: String::new(),
            tables: tables.collect(),
        }
    }

    fn compared(was: &str, rows: &[TableRow], now: &Published) -> Changes {
        let there = HashMap::from([(Oid(7), false), (Oid(8), true)]);
        compare(
            was,
            rows.to_vec(),
            now.clone(),
            &there,
            &Selection::default(),
        )
        .unwrap()
    }

    #[test]
    fn whatever_became_of_a_table_is_told_apart() {
        let rows: Vec<TableRow> = [
            (5, "same"),
            (6, "dropped"),
            (7, "removed"),
            (8, "unlogged"),
            (9, "remade"),
            (10, "was"),
            (11, "refiltered"),
        ]
        .map(|(oid, name)| row(oid, name, TableState::Streaming))
        .into();
        let published = now(
            "table 1 1 5\ntable 2 9 11 (id > 2)",
            &[
                (5, "same"),
                (109, "remade"),
                (10, "is"),
                (11, "refiltered"),
                (12, "new"),
            ],
        );
        let Changes {
            stop,
            join,
            replace,
            left,
            ..
        } = compared("table 1 1 5\ntable 2 2 11 (id > 1)", &rows, &published);
        let said: Vec<String> = stop
            .iter()
            .map(|(table, why)| format!("{}: {why}", table.name))
            .collect();
        let words = [
            "dropped: it was dropped",
            "removed: it is not in the publication",
            "unlogged: it is unlogged",
            "remade: dropped and made again",
            "was: it is called public.is",
            "refiltered: its row filter",
        ];
        assert_eq!(said.len(), words.len(), "{said:?}");
        for (said, words) in said.iter().zip(words) {
            assert!(said.starts_with(words), "{said}");
        }
        assert_eq!(join, [table(12, "new")]);
        assert_eq!(replace, []);
        let left: Vec<&str> = left.iter().map(|(table, _)| &*table.name).collect();
        assert_eq!(left, ["remade"]);
    }

    #[test]
    fn a_column_made_again_under_its_name_stops_its_table_unless_the_stream_tells() {
        let with = |columns: &[(&str, u32, i16)]| Table {
            columns: columns
                .iter()
                .map(|(name, oid, number)| {
                    Column::new(*name, Oid(*oid), -1, Oid(*oid))
                        .with_attnum(Some(*number).filter(|number| *number != 0))
                })
                .collect(),
            ..table(5, "t")
        };
        let was = [("id", 23, 1), ("v", 25, 2)];
        let stopped = |now_are: &[(&str, u32, i16)]| {
            let mut followed = row(5, "t", TableState::Streaming);
            followed.table = with(&was);
            let mut published = now("", &[(5, "t")]);
            published.tables[0].table = with(now_are);
            // Which not every replica identity shows.
            published.tables[0].table.key = vec![0];
            let changes = compared("", &[followed], &published);
            changes.stop.first().map(|(_, why)| why.clone())
        };
        assert_eq!(stopped(&was), None);
        let why = stopped(&[("id", 23, 1), ("v", 25, 3)]).expect("another column");
        assert!(why.starts_with("column v was dropped"), "{why}");
        // What older ledgers do not know,
        assert_eq!(stopped(&[("id", 23, 1), ("v", 25, 0)]), None);
        // and what comes with the stream.
        assert_eq!(stopped(&[("id", 23, 1), ("v", 20, 3)]), None);
        assert_eq!(stopped(&[("id", 23, 1), ("v", 25, 3), ("w", 25, 4)]), None);
        assert_eq!(stopped(&[("id", 23, 1)]), None);
    }

    #[test]
    fn a_copy_that_is_asked_for_takes_the_table_that_has_the_name_now() {
        let rows = [
            row(5, "a", TableState::Copying),
            row(6, "b", TableState::Copying),
            row(7, "c", TableState::Stopped("why".to_owned())),
        ];
        // Its line is new, and it is to be copied as it is now.
        let published = now("table 1 1 5", &[(5, "a"), (106, "b")]);
        let changes = compared("", &rows, &published);
        assert_eq!(changes.replace, [(table(6, "b"), Oid(106))]);
        assert_eq!((changes.stop.len(), changes.join.len()), (0, 0));
    }

    #[test]
    fn another_publication_is_for_all_tables() {
        let there = HashMap::new();
        for (was, is) in [
            ("publication 1 1 p", "publication 1 2 p"),
            ("publication 1 1 p", "publication 2 1 p"),
            ("schema 1 1 9", "schema 1 2 9"),
        ] {
            let error = compare(was, vec![], now(is, &[]), &there, &Selection::default());
            assert_eq!(error.unwrap_err().exit_code(), 3, "{was}");
        }
        for (was, is) in [("schema 1 1 9", ""), ("", "schema 1 1 9")] {
            let changes = compare(was, vec![], now(is, &[]), &there, &Selection::default());
            let changes = changes.unwrap();
            assert_eq!((changes.stop.len(), changes.join.len()), (0, 0));
        }
    }

    #[test]
    fn a_schema_that_comes_takes_the_row_filters_off() {
        let rows = [row(5, "a", TableState::Streaming)];
        let was = "table 1 1 5 1 2 (id > 1)";
        let published = now("schema 3 3 9\ntable 1 1 5 1 2 (id > 1)", &[(5, "a")]);
        assert_eq!(compared(was, &rows, &published).stop.len(), 1);
        let was = "table 1 1 5 1 2";
        let published = now("schema 3 3 9\ntable 1 1 5 1 2", &[(5, "a")]);
        assert_eq!(compared(was, &rows, &published).stop.len(), 0);
    }
}
