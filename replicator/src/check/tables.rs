//! The source's tables: whether all of them can be copied and followed, and what their keys and columns mean for changes.

use std::collections::HashSet;

use walstream::walproto::Oid;

use super::finding::{Finding, Mend, Report};
use super::publication::{Found, quoted};
use super::source::Reached;
use super::{Verdict, copies};
use crate::config::Config;
use crate::error::Result;
use crate::publication::{Remedy, Unfit, Why, find_unfit};
use crate::source::{PublishedTable, parse};

/// Looks at those that are published, or would be.
pub(super) async fn look(
    reached: &mut Reached,
    config: &Config,
    published: Option<&Found>,
    later: bool,
    report: &mut Report,
) {
    const REST: [&str; 3] = [
        "source.replica_identity",
        "source.toast",
        "source.partitions",
    ];
    let Some(published) = published else {
        let why = "it is not known which tables are published";
        report.unasked(&["source.tables"], why);
        report.unasked(&REST, why);
        return;
    };
    // A later start copies only what joins.
    let copied = copies(config) && !later;
    let found = find_unfit(reached.source.client(), &published.listed, copied).await;
    report.take(
        "source.tables",
        found.map(|unfit| match &*unfit {
            [] => vec![Finding::ok(
                "source.tables",
                if copied {
                    "all that is published is in the stream, and may be read whole"
                } else {
                    "all that is published is in the stream"
                },
            )],
            unfit => unfit.iter().map(|it| unfitting(it, later)).collect(),
        }),
    );
    let Some(tables) = &published.tables else {
        report.unasked(&REST, "the columns of the tables could not be read");
        return;
    };
    report.take("source.replica_identity", Ok(identity(tables, published)));
    let found = toast(reached, tables).await;
    report.take("source.toast", found);
    report.take("source.partitions", Ok(partitions(tables)));
}

fn unfitting(unfit: &Unfit, later: bool) -> Finding {
    let id = match unfit.why {
        Why::Foreign => "source.table.foreign",
        Why::Unlogged => "source.table.unlogged",
        Why::Schema => "source.table.schema",
        Why::Select => "source.table.select",
        Why::RowSecurity => "source.table.row_security",
    };
    let found = Finding::wrong(id, unfit.what.clone()).about(&unfit.table);
    let found = match &unfit.remedy {
        Remedy::Sql(sql) => found.mend(Mend::source(sql)),
        Remedy::Words(_) => found.mend(Mend::option(format!("--exclude-tables {}", unfit.table))),
    };
    if later {
        // What is followed already goes on; the stream does not have it all the same.
        return Finding {
            verdict: Verdict::Warning,
            ..found
        };
    }
    found
}

/// What tells rows apart in updates and deletes.
fn identity(tables: &[PublishedTable], published: &Found) -> Vec<Finding> {
    const ID: &str = "source.replica_identity";
    let mut found = Vec::new();
    for PublishedTable { table, .. } in tables {
        let name = quoted(table);
        match (table.identity, table.key.is_empty()) {
            ('f', true) => found.push(
                Finding::warning(
                    ID,
                    "replica identity FULL without a key: every update and delete carries its old row, and is matched by all of \
                     its columns at the destination, without an index",
                )
                .about(table)
                .mend(Mend::hand(format!("give it a key: ALTER TABLE {name} ADD PRIMARY KEY (…)"))),
            ),
            // Larger changes, and nothing else.
            ('f', false) | (_, false) => {}
            (_, true) if published.publishes_updates => found.push(
                Finding::warning(
                    ID,
                    "nothing tells its rows apart, and its publication publishes updates or deletes: those FAIL at the source, for \
                     whoever makes them",
                )
                .about(table)
                .mend(Mend::source(format!("ALTER TABLE {name} REPLICA IDENTITY FULL"))),
            ),
            (_, true) => found.push(
                Finding::warning(ID, "nothing tells its rows apart: only inserts and truncates of it are followed").about(table),
            ),
        }
    }
    if found.is_empty() {
        found.push(Finding::ok(
            ID,
            "every table has a key, so that updates and deletes find their rows",
        ));
    }
    found
}

/// Values that are stored elsewhere are not sent again by an update that leaves them as they are.
async fn toast(reached: &mut Reached, tables: &[PublishedTable]) -> Result<Vec<Finding>> {
    const ID: &str = "source.toast";
    let oids = tables.iter().map(|it| it.table.oid.0.to_string());
    let oids: Vec<String> = oids.collect();
    if oids.is_empty() {
        return Ok(vec![Finding::ok(ID, "there is no table")]);
    }
    let sql = format!(
        "SELECT DISTINCT attrelid FROM pg_attribute
         WHERE attrelid IN ({}) AND attnum > 0 AND NOT attisdropped AND attlen = -1 AND attstorage <> 'p'",
        oids.join(", ")
    );
    let rows = reached.source.client().query(&sql).await?;
    let oid = |row: &walstream::Row| Ok(Oid(parse(row.get(0).unwrap_or_default())?));
    let toasted: HashSet<Oid> = rows.iter().map(oid).collect::<Result<_>>()?;
    let mut found = Vec::new();
    for it in tables {
        let table = &it.table;
        if it.filter.is_some() && table.identity != 'f' && toasted.contains(&table.oid) {
            found.push(
                Finding::warning(
                    ID,
                    "it has a row filter and columns that may be stored out of line: an update that brings a row into the filter \
                     comes as an insert without those that it leaves as they are, and the run stops",
                )
                .about(table)
                .mend(Mend::source(format!(
                    "ALTER TABLE {} REPLICA IDENTITY FULL",
                    quoted(table)
                ))),
            );
        }
    }
    if found.is_empty() {
        found.push(Finding::ok(
            ID,
            format!(
                "{} of {} tables have columns that may be stored out of line; what an update leaves as it is, is left as it is \
                 at the destination",
                toasted.len(),
                tables.len()
            ),
        ));
    }
    Ok(found)
}

fn partitions(tables: &[PublishedTable]) -> Vec<Finding> {
    const ID: &str = "source.partitions";
    let whole = tables.iter().filter(|it| it.partitioned);
    let mut found: Vec<Finding> = whole
        .map(|it| {
            Finding::warning(
                ID,
                "followed as a whole: the stream does not show when a single partition is truncated, attached with rows in it, \
                 or detached",
            )
            .about(&it.table)
            .mend(Mend::hand("do these by DELETE and INSERT, or copy the table anew then: replicator resync"))
        })
        .collect();
    if found.is_empty() {
        found.push(Finding::ok(
            ID,
            "no partitioned table is followed as a whole",
        ));
    }
    found
}
