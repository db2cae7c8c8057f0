//! The destination: whether it can be reached and written, what it remembers, and the tables that are there.

use std::path::Path;

use super::finding::{Finding, Mend, Report, Verdict, unanswered};
use super::options::shell_quoted;
use super::publication::Found;
use super::source::Reached;
use super::{Remembered, copies};
use crate::changes;
use crate::config::Config;
use crate::copy::estimate;
use crate::destination::Existing;
use crate::destination::look::{Fate, Look, stands_against};
use crate::error::{Error, ErrorKind, Result};
use crate::position::{State, TableState};
use crate::selection::WhereFrom;
use crate::show::people;
use crate::start::agree;
use crate::table::Table;

/// What is asked of one that is open.
const ASKED: [&str; 9] = [
    "destination.version",
    "destination.durability",
    "destination.encoding",
    "destination.time_zone",
    "destination.isolation",
    "destination.position",
    "destination.tables",
    "destination.rights",
    "destination.space",
];

pub(super) async fn open(config: &Config, report: &mut Report) -> Option<Look> {
    match Look::open(config).await {
        Ok((look, found)) => {
            let stands_against = stands_against(&found);
            report.take("destination.reachable", Ok(found));
            if !stands_against {
                let what = "it takes changes";
                if !report.has("destination.writable") {
                    report.add(Finding::ok("destination.writable", what));
                }
            }
            Some(look)
        }
        Err(error) => {
            report.add(unopened(config, &error));
            report.unasked(&ASKED, "the destination could not be opened");
            None
        }
    }
}

/// Why there is none; of a file the folder may be missing.
fn unopened(config: &Config, error: &Error) -> Finding {
    let found = Finding::of("destination.reachable", error);
    let path = config.destination.strip_prefix("sqlite:");
    let path = path.map(|path| Path::new(path.strip_prefix("//").unwrap_or(path)));
    match path.and_then(Path::parent) {
        Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
            let folder = shell_quoted(&folder.display().to_string());
            found.mended_by([Mend::shell(format!("mkdir -p {folder}"))])
        }
        _ => found,
    }
}

/// What it remembers of the slot.
pub(super) async fn remembered(
    look: &mut Look,
    config: &Config,
    report: &mut Report,
) -> Remembered {
    const ID: &str = "destination.position";
    let read = async {
        let position = look.position(&config.slot).await?;
        let tables = look.tables(&config.slot).await?;
        Ok::<_, Error>((position, tables))
    };
    let (position, tables) = match read.await {
        Ok(read) => read,
        Err(error) => {
            report.add(match error.kind() {
                ErrorKind::Retry => unanswered(ID, &error),
                _ => Finding::of(ID, &error),
            });
            return Remembered::nothing();
        }
    };
    report.add(match &position {
        None => Finding::ok(ID, format!("nothing is known there of slot {}; a run begins", config.slot)),
        Some(row) if row.state == State::Intent => Finding::warning(
            ID,
            "an earlier start did not come to its end; the next one removes what it left, and begins again",
        ),
        Some(row) => Finding::ok(
            ID,
            format!(
                "slot {} is followed there, and is at {} with {} tables",
                config.slot,
                row.lsn,
                tables.len()
            ),
        ),
    }
    .about(&config.slot));
    Remembered {
        position,
        tables,
        known: true,
    }
}

/// Looks at it when it is known what is to come.
pub(super) async fn look(
    look: &mut Look,
    config: &Config,
    remembered: &Remembered,
    published: Option<Found>,
    reached: &mut Reached,
    report: &mut Report,
) {
    const ID: &str = "destination.tables";
    let (mut made, mut taken) = (Vec::new(), Vec::new());
    if remembered.is_followed() {
        for row in &remembered.tables {
            followed(look, config, row, report).await;
            taken.push(row.table.clone());
        }
        report.take("options.agree", Ok(agreement(look, config, remembered)));
        let join = published.and_then(|it| it.changes).map(|it| it.join);
        let mut join = join.unwrap_or_default();
        match look.name_tables(&config.names, &mut join) {
            Ok(()) => {
                let existing = config.existing_to_copy();
                tables(look, &join, existing, &mut made, &mut taken, report).await;
            }
            Err(error) => report.add(Finding::of("options.names", &error)),
        }
    } else if let Some(named) = published.and_then(|it| it.named) {
        let existing = config.existing_tables();
        tables(look, &named, existing, &mut made, &mut taken, report).await;
    } else {
        report.unasked(&[ID], "it is not known which tables are to be there");
    }
    let found = look.survey(&made, &taken).await;
    report.take("destination.version", found);
    let copied: Vec<&Table> = if remembered.is_followed() {
        made.iter().collect()
    } else {
        made.iter().chain(&taken).collect()
    };
    let found = space(look, config, &copied, reached).await;
    report.take("destination.space", found);
}

/// Looks at it where the source could not be asked.
pub(super) async fn look_alone(look: &mut Look, report: &mut Report) {
    let found = look.survey(&[], &[]).await;
    report.take("destination.version", found);
    report.unasked(
        &["destination.tables", "destination.space"],
        "the source could not be asked which tables are to be there",
    );
}

/// Tables that are to be made or taken over.
async fn tables(
    look: &mut Look,
    tables: &[Table],
    existing: Existing,
    made: &mut Vec<Table>,
    taken: &mut Vec<Table>,
    report: &mut Report,
) {
    let before = report.count(Verdict::Wrong);
    for table in tables {
        match look.examine(table, existing).await {
            Ok(Fate::Made) => made.push(table.clone()),
            Ok(Fate::Taken) => taken.push(table.clone()),
            Err(error) => {
                report.add(refused(table, existing, &error));
                // Whether we may write it is another question.
                if error.missing_table().is_none() {
                    taken.push(table.clone());
                }
            }
        }
    }
    if report.count(Verdict::Wrong) == before {
        let what = format!(
            "to be made: {}; there, and fit: {}",
            made.len(),
            taken.len()
        );
        report.add(Finding::ok("destination.tables", what));
    }
    if existing.keeps() && !taken.is_empty() {
        let names: Vec<String> = taken.iter().map(|it| it.destination.clone()).collect();
        report.add(Finding::warning(
            "destination.existing",
            format!(
                "rows stay beside those that are copied (--existing keep), and a copy that is interrupted needs a person: {}",
                super::publication::shown(&names)
            ),
        ));
    }
    if let Existing::Empty { .. } = existing
        && !taken.is_empty()
    {
        let names: Vec<String> = taken.iter().map(|it| it.destination.clone()).collect();
        report.add(Finding::warning(
            "destination.existing",
            format!(
                "each of these is emptied when its copy begins (--existing truncate): {}",
                super::publication::shown(&names)
            ),
        ));
    }
}

/// One that must not be made or taken over as it is.
fn refused(table: &Table, existing: Existing, error: &Error) -> Finding {
    if error.kind() == ErrorKind::Retry {
        return unanswered("destination.table", error).about(table);
    }
    let found = Finding::of("destination.table", error).about(table);
    if let Some(sql) = error.missing_table() {
        return found.mended_by([Mend::destination(sql)]);
    }
    if let Some(sql) = error.command() {
        return found.mended_by([Mend::destination(sql)]);
    }
    if error.is_about_rows() && existing.wants_empty() {
        let found = found.mended_by([Mend::option("--existing truncate")]);
        return found.mend(Mend::hand(
            "which deletes its rows when the copy begins; --existing keep lets them stay beside ours, and with --copy no they are \
             taken for the source's",
        ));
    }
    found
}

/// One that is followed already.
async fn followed(
    look: &mut Look,
    config: &Config,
    row: &crate::position::TableRow,
    report: &mut Report,
) {
    let table = &row.table;
    if let TableState::Stopped(why) = &row.state {
        report.add(
            Finding::warning(
                "destination.table.stopped",
                format!("it is not followed: {why}"),
            )
            .about(table)
            .mend(Mend::shell(changes::resync_command(config, table))),
        );
        return;
    }
    if let Err(error) = look.fits_still(table).await {
        let found = if error.kind() == ErrorKind::Retry {
            unanswered("destination.table", &error)
        } else {
            Finding::of("destination.table", &error)
        };
        report.add(found.about(table));
    }
}

/// The options are those with which it was filled.
fn agreement(look: &Look, config: &Config, remembered: &Remembered) -> Vec<Finding> {
    const ID: &str = "options.agree";
    let tables: Vec<Table> = remembered
        .tables
        .iter()
        .map(|row| row.table.clone())
        .collect();
    let selected = config.selection.agrees(tables.iter(), WhereFrom::Ledger);
    let named = agree::names(config, &tables, |named| {
        look.name_tables(&config.names, named)
    });
    let wrong: Vec<Finding> = [selected, named]
        .into_iter()
        .filter_map(Result::err)
        .map(|error| Finding::of(ID, &error))
        .collect();
    if wrong.is_empty() {
        return vec![Finding::ok(
            ID,
            "tables and names are those with which the destination was filled",
        )];
    }
    wrong
}

/// Whether what is to be copied has room.
async fn space(
    look: &Look,
    config: &Config,
    copied: &[&Table],
    reached: &mut Reached,
) -> Result<Vec<Finding>> {
    const ID: &str = "destination.space";
    let Some(room) = look.room().await else {
        return Ok(vec![Finding::unknown(
            ID,
            "the server does not tell how much room it has",
        )]);
    };
    let oids: Vec<_> = copied.iter().map(|table| table.oid).collect();
    let bytes = if copies(config) {
        estimate::bytes(&mut reached.source, &oids).await?
    } else {
        0
    };
    let (free, needed) = (people::size(room), people::size(bytes));
    Ok(vec![if bytes > room {
        let what = format!("{free} are free, and the tables to copy take {needed} at the source");
        Finding::warning(ID, what).mend(Mend::hand("make room, or name a file on a larger disk"))
    } else {
        Finding::ok(
            ID,
            format!("{free} are free; the tables to copy take {needed} at the source"),
        )
    }])
}
