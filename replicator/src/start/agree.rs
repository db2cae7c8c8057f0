//! Whether what the destination remembers agrees with the source: one comparison each, before anything is applied.

use walstream::walproto::Lsn;
use walstream::{Slot, SystemIdentity, TimelineSwitch};

use crate::config::Config;
use crate::error::{Error, Result, START_ANEW};
use crate::position::PositionRow;
use crate::table::Table;

/// The publications that were read are those that are to be read.
pub(crate) fn publications(position: &PositionRow, publications: &[String]) -> Result<()> {
    if position.publications == publications {
        return Ok(());
    }
    Err(Error::person(format!(
        "the destination follows the publications {}, not {}",
        position.publications.join(", "),
        publications.join(", ")
    ))
    .with_hint(START_ANEW))
}

/// The position lies in the history of the source's timeline.
pub(crate) fn timeline(
    position: &PositionRow,
    system: &SystemIdentity,
    history: &[TimelineSwitch],
) -> Result<()> {
    let left = history
        .iter()
        .find(|switch| switch.timeline == position.timeline)
        .map(|switch| switch.switch);
    if position.timeline <= system.timeline && left.is_none_or(|switch| position.lsn <= switch) {
        return Ok(());
    }
    Err(Error::person(format!(
        "the destination is at {} on timeline {}, which the source (timeline {}) never reached",
        position.lsn, position.timeline, system.timeline
    ))
    .with_hint(START_ANEW))
}

/// The position is not behind the end of the source's log.
pub(crate) fn end_of_log(position: &PositionRow, flushed: Lsn) -> Result<()> {
    if position.lsn <= flushed {
        return Ok(());
    }
    Err(Error::person(format!(
        "the destination is at {}, ahead of the source's write-ahead log, which ends at {flushed}",
        position.lsn
    ))
    .with_hint(format!(
        "the source was restored from an older state; {START_ANEW}"
    )))
}

/// The slot was not told more than the destination has.
pub(crate) fn slot(position: &PositionRow, slot: &Slot) -> Result<()> {
    let Some(confirmed) = slot.confirmed_flush.filter(|&lsn| lsn > position.lsn) else {
        return Ok(());
    };
    Err(Error::person(format!(
        "replication slot {:?} was confirmed up to {confirmed}, but the destination holds changes only up to {}: \
         those between are lost to it",
        slot.name, position.lsn
    ))
    .with_hint(format!(
        "somebody else read or remade the slot, or the destination was restored; {START_ANEW}"
    )))
}

/// Refuses names that are not those under which the tables are at the destination: which of both is meant, only the
/// user knows. `name` gives tables the names that they would have.
pub(crate) fn names(
    config: &Config,
    tables: &[Table],
    name: impl FnOnce(&mut Vec<Table>) -> Result<()>,
) -> Result<()> {
    config.names.check(tables)?;
    let mut named = tables.to_vec();
    name(&mut named)?;
    for (is, would) in tables.iter().zip(&named) {
        if is.destination != would.destination {
            let hint = format!(
                "to go on, give the --map-schema and --map-table that it was first run with; {START_ANEW}"
            );
            return Err(Error::usage(format!(
                "table {is} is {:?} at the destination, and would be {:?} with the options of this run",
                is.destination, would.destination
            ))
            .with_hint(hint));
        }
    }
    Ok(())
}
