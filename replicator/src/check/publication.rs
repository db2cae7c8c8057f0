//! The publication: whether it is there and publishes what is asked for, or can be made.

use walstream::quote_identifier;

use super::Remembered;
use super::finding::{Finding, Mend, Report};
use super::source::Reached;
use crate::changes::{self, Changes};
use crate::config::Config;
use crate::destination::look::Look;
use crate::error::{ErrorKind, Result};
use crate::names::TableName;
use crate::publication::{self, Made, Plan};
use crate::source::{PublishedTable, planned};
use crate::start::{self, agree};
use crate::table::Table;

/// What is published, or would be.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The query for the numbers of its tables.
    pub(super) listed: String,
    /// `None` where they could not be read.
    pub(super) tables: Option<Vec<PublishedTable>>,
    /// With their names at the destination, if these could be given.
    pub(super) named: Option<Vec<Table>>,
    /// What became of the tables since the last start.
    pub(super) changes: Option<Changes>,
    /// Updates and deletes fail at the source for tables that nothing identifies.
    pub(super) publishes_updates: bool,
}

/// Looks at it; `None` where there is none, and none can be made.
pub(super) async fn look(
    reached: &mut Reached,
    config: &Config,
    remembered: &Remembered,
    destination: Option<&Look>,
    report: &mut Report,
) -> Option<Found> {
    const ID: &str = "source.publication";
    let later = remembered.is_followed();
    let names = config.publications();
    let missing = match reached.source.missing(&names).await {
        Ok(missing) => missing,
        Err(error) => {
            report.take(ID, Err(error));
            return None;
        }
    };
    match start::to_make(config, &missing, later) {
        Err(error) => {
            let found = Finding::of(ID, &error);
            let found = match missing.first() {
                Some(name) if !later => found.mended_by([
                    Mend::source(format!("CREATE PUBLICATION {} FOR ALL TABLES", quote_identifier(name))),
                    Mend::hand("or FOR TABLE with those that are to be replicated; or leave out --publication, and a run makes one"),
                ]),
                _ => found,
            };
            report.add(found);
            None
        }
        Ok(Some(name)) => plan(reached, config, name, destination, report).await,
        Ok(None) => existing(reached, config, remembered, names, destination, report).await,
    }
}

/// One that is to be made.
async fn plan(
    reached: &mut Reached,
    config: &Config,
    name: &str,
    destination: Option<&Look>,
    report: &mut Report,
) -> Option<Found> {
    const ID: &str = "source.publication";
    let client = reached.source.client();
    let plan = publication::plan(client, name, &config.selection, config.keyless).await;
    let plan = match plan {
        Ok(plan) => plan,
        Err(error) if error.kind() == ErrorKind::Retry => {
            report.take(ID, Err(error));
            return None;
        }
        Err(error) => {
            report.add(Finding::of(ID, &error).about(name));
            return None;
        }
    };
    let Made { published, skipped } = &plan.made;
    report.add(
        Finding::ok(
            ID,
            format!(
                "a run makes it, of {}: {}",
                tables(published.len()),
                shown(published)
            ),
        )
        .about(name),
    );
    if !skipped.is_empty() {
        report.add(keyless(skipped));
    }
    let found = never_decoded(reached, config).await;
    report.take("source.not_decoded", found);
    let found = rights(reached, name, &plan).await;
    report.take("source.publication_rights", found);
    let listed = plan.numbers();
    let read = planned(reached.source.client(), &plan).await;
    Some(read_tables(config, destination, listed, read, report))
}

fn keyless(skipped: &[String]) -> Finding {
    let what = format!(
        "left out for want of a key that tells rows apart: {}; nothing of them is replicated",
        shown(skipped)
    );
    let found = Finding::warning("source.keyless", what);
    found.mend(Mend::option("--keyless full")).mend(Mend::hand(
        "which sets REPLICA IDENTITY FULL on them; or give them a primary key; or --keyless insert-only, or --exclude-tables",
    ))
}

/// Tables that no publication can have, and that the user may be waiting for.
async fn never_decoded(reached: &mut Reached, config: &Config) -> Result<Vec<Finding>> {
    let sql = "SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE (c.relkind IN ('r', 'p') AND c.relpersistence = 'u' OR c.relkind = 'f') AND NOT c.relispartition
                 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast'
               ORDER BY 1, 2";
    let rows = reached.source.client().query(sql).await?;
    let mut found = Vec::new();
    for row in &rows {
        let text = |at| row.get(at).unwrap_or_default();
        if !config.selection.selects(text(0), text(1)) {
            continue;
        }
        let (name, kind) = (TableName::new(text(0), text(1)), text(2));
        let quoted = format!(
            "{}.{}",
            quote_identifier(text(0)),
            quote_identifier(text(1))
        );
        found.push(if kind == "f" {
            let what = "it is foreign: its rows lie elsewhere, and no publication has them; it is not replicated";
            Finding::ok("source.not_decoded", what).about(&name)
        } else {
            let what = "it is unlogged: no publication has it, and it is not replicated";
            let log = Mend::source(format!("ALTER TABLE {quoted} SET LOGGED"));
            Finding::warning("source.not_decoded", what).about(&name).mend(log)
        });
    }
    Ok(found)
}

/// CREATE on the database, and ownership of every table.
async fn rights(reached: &mut Reached, name: &str, plan: &Plan) -> Result<Vec<Finding>> {
    const ID: &str = "source.publication_rights";
    let sql = format!(
        "SELECT has_database_privilege(current_database(), 'CREATE'),
                (SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY n.nspname, c.relname)
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE c.oid IN ({}) AND NOT pg_has_role(c.relowner, 'USAGE'))",
        plan.numbers()
    );
    let row = reached.row(&sql).await?;
    let role = reached.quoted_role();
    let mut found = Vec::new();
    if let Some(theirs) = row.get(1) {
        // As somebody who may; ours it is not then, and `drop` leaves it.
        let make = plan.script.iter();
        let make = make.filter(|statement| !statement.starts_with("COMMENT"));
        found.push(
            Finding::wrong(
                ID,
                format!("role {role} makes the publication {name}, and does not own these tables: {theirs}"),
            )
            .mends(make.map(Mend::source)),
        );
    } else if row.get(0) != Some("t") {
        let database = quote_identifier(&reached.database);
        found.push(
            Finding::wrong(
                ID,
                format!("role {role} makes the publication {name}, and must not create anything in the database"),
            )
            .mend(Mend::source(format!(
                "GRANT CREATE ON DATABASE {database} TO {role}"
            ))),
        );
    }
    if found.is_empty() {
        let what = format!("role {role} may make the publication {name}");
        found.push(Finding::ok(ID, what));
    }
    Ok(found)
}

/// Those that are there.
async fn existing(
    reached: &mut Reached,
    config: &Config,
    remembered: &Remembered,
    names: Vec<String>,
    destination: Option<&Look>,
    report: &mut Report,
) -> Option<Found> {
    const ID: &str = "source.publication";
    let names = match start::with_companion(&mut reached.source, names).await {
        Ok(names) => names,
        Err(error) => {
            report.take(ID, Err(error));
            return None;
        }
    };
    let selection = &config.selection;
    let checked = publication::check_selection(reached.source.client(), &names, selection).await;
    report.take(
        "source.selection",
        match checked {
            Ok(()) => Ok(vec![Finding::ok(
                "source.selection",
                "the tables that the options name are there",
            )]),
            // As a run has it: a table may have gone since.
            Err(error) if remembered.is_followed() && error.kind() == ErrorKind::Usage => {
                let found = Finding::of("source.selection", &error);
                Ok(vec![Finding {
                    verdict: super::Verdict::Warning,
                    ..found
                }])
            }
            Err(error) if error.kind() != ErrorKind::Retry => {
                Ok(vec![Finding::of("source.selection", &error)])
            }
            Err(error) => Err(error),
        },
    );
    let found = content(reached, &names).await;
    let publishes_updates = found.as_ref().is_ok_and(|(_, updates)| *updates);
    report.take(ID, found.map(|(found, _)| found));
    let left = reached.source.left_out(&names).await;
    report.take(
        "source.left_out",
        left.map(|left| match &*left {
            [] => vec![],
            left => vec![left_out(&names, left)],
        }),
    );
    let listed = publication::listed(&names, selection);
    let published = reached.source.published(&names).await;
    let mut found = read_tables(
        config,
        destination,
        listed,
        published.map(|it| it.tables),
        report,
    );
    found.publishes_updates = publishes_updates;
    if let Some(row) = remembered
        .position
        .as_ref()
        .filter(|_| remembered.is_followed())
    {
        let same = agree::publications(row, &names);
        let rows = remembered.tables.clone();
        let fingerprint = &row.fingerprint;
        let changes = match same {
            Ok(()) => {
                changes::find_among(config, &mut reached.source, rows, &names, fingerprint).await
            }
            Err(error) => Err(error),
        };
        match changes {
            Ok(changes) => {
                report.add(Finding::ok(
                    "source.publication_changes",
                    format!(
                        "the publications are those of the last start; {} joined since",
                        tables(changes.join.len())
                    ),
                ));
                for (table, why) in &changes.stop {
                    report.add(
                        Finding::warning(
                            "source.table.stopped",
                            format!("the next start stops it: {why}"),
                        )
                        .about(table)
                        .mend(Mend::shell(changes::resync_command(config, table))),
                    );
                }
                for (table, why) in &changes.left {
                    report.add(
                        Finding::warning("source.table.not_followed", (*why).to_owned())
                            .about(table),
                    );
                }
                found.changes = Some(changes);
            }
            Err(error) if error.kind() == ErrorKind::Retry => {
                report.take("source.publication_changes", Err(error));
            }
            Err(error) => report.add(Finding::of("source.publication_changes", &error)),
        }
    }
    Some(found)
}

fn left_out(names: &[String], left: &[String]) -> Finding {
    let publication = names.first().map(|name| quote_identifier(name));
    let add = left.iter().map(|name| {
        // As `schema.table`, of which the catalog had both parts.
        let (schema, table) = name.split_once('.').unwrap_or(("public", name));
        format!("{}.{}", quote_identifier(schema), quote_identifier(table))
    });
    let what = format!(
        "in none of the publications, and not replicated: {}",
        shown(left)
    );
    Finding::warning("source.left_out", what).mend(Mend::source(format!(
        "ALTER PUBLICATION {} ADD TABLE {}",
        publication.unwrap_or_default(),
        add.collect::<Vec<_>>().join(", ")
    )))
}

/// What each brings, and whether updates are among it.
async fn content(reached: &mut Reached, names: &[String]) -> Result<(Vec<Finding>, bool)> {
    const ID: &str = "source.publication";
    let mut found = Vec::new();
    let mut updates = false;
    for name in names {
        let Some(it) = reached.source.client().publication(name).await? else {
            continue;
        };
        updates |= it.update || it.delete;
        let count = it.published.len();
        let quoted = quote_identifier(name);
        if count == 0 {
            let what = "it publishes no table, so nothing is replicated";
            let add = format!("ALTER PUBLICATION {quoted} ADD TABLE …");
            found.push(Finding::warning(ID, what).about(name).mend(Mend::hand(add)));
        } else {
            found.push(
                Finding::ok(ID, format!("it is there, and publishes {}", tables(count)))
                    .about(name),
            );
        }
        let kinds = [
            (it.insert, "inserts"),
            (it.update, "updates"),
            (it.delete, "deletes"),
            (it.truncate, "truncates"),
        ];
        let not: Vec<&str> = kinds.iter().filter(|it| !it.0).map(|it| it.1).collect();
        let ours = publication::is_ours(reached.source.client(), name).await?;
        if !not.is_empty() && !ours {
            let set = "'insert, update, delete, truncate'";
            found.push(
                Finding::warning(
                    "source.publication_operations",
                    format!(
                        "it does not publish {}: the destination does not follow them",
                        not.join(", ")
                    ),
                )
                .about(name)
                .mend(Mend::source(format!(
                    "ALTER PUBLICATION {quoted} SET (publish = {set})"
                ))),
            );
        }
    }
    Ok((found, updates))
}

/// The tables with their names at the destination.
fn read_tables(
    config: &Config,
    destination: Option<&Look>,
    listed: String,
    read: Result<Vec<PublishedTable>>,
    report: &mut Report,
) -> Found {
    let tables = match read {
        Ok(tables) => tables,
        Err(error) => {
            let error = match error.kind() {
                ErrorKind::Retry => Err(error),
                _ => Ok(vec![Finding::of("source.columns", &error)]),
            };
            report.take("source.columns", error);
            return Found {
                listed,
                ..Found::default()
            };
        }
    };
    let name = |tables: &mut Vec<Table>| match destination {
        Some(look) => look.name_tables(&config.names, tables),
        None => Ok(()),
    };
    let named = start::named(config, name, &tables);
    report.add(match &named {
        Ok(_) if destination.is_some() => Finding::ok(
            "destination.names",
            "every table has a name of its own there",
        ),
        Ok(_) => Finding::ok(
            "options.names",
            "the names that the options give are of tables that are there",
        ),
        Err(error) => Finding::of("options.names", error),
    });
    Found {
        listed,
        tables: Some(tables),
        named: named.ok(),
        ..Found::default()
    }
}

fn tables(count: usize) -> String {
    match count {
        1 => "1 table".to_owned(),
        count => format!("{count} tables"),
    }
}

/// The first of many names.
pub(super) fn shown(names: &[String]) -> String {
    const MOST: usize = 20;
    match names.get(MOST..) {
        Some(more) if !more.is_empty() => {
            let first = names.get(..MOST).unwrap_or_default().join(", ");
            format!("{first} and {} more", more.len())
        }
        _ => names.join(", "),
    }
}

impl Plan {
    /// The query for the numbers of its tables alone.
    pub(super) fn numbers(&self) -> String {
        format!("SELECT planned.oid FROM ({}) AS planned", self.listed())
    }
}

/// A table's name as a statement takes it.
pub(super) fn quoted(table: &Table) -> String {
    format!(
        "{}.{}",
        quote_identifier(&table.schema),
        quote_identifier(&table.name)
    )
}
