//! The slot: whether it is usable and agrees with what the destination remembers, and what stands against making it.

use std::time::Duration;

use walstream::{Blocker, Slot};

use super::finding::{Finding, Mend, Report};
use super::source::Reached;
use super::{Remembered, makes_slot};
use crate::config::{Config, Copy};
use crate::error::{Error, Result};
use crate::position::State;
use crate::start::{self, agree};

/// Between two looks at what runs: what is in both would be waited for.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks at it, and gives it back if it is there.
pub(super) async fn look(
    reached: &mut Reached,
    config: &Config,
    remembered: &Remembered,
    report: &mut Report,
) -> Option<Slot> {
    let slot = match reached.source.client().slot(&config.slot).await {
        Ok(slot) => slot,
        Err(error) => {
            report.take("source.slot", Err(error.into()));
            let why = "the slot could not be looked at";
            report.unasked(&["source.position", "source.transactions"], why);
            return None;
        }
    };
    let found = state(reached, config, remembered, slot.as_ref());
    report.take("source.slot", Ok(found));
    if let Some(row) = &remembered.position
        && row.state == State::Streaming
    {
        let found = position(reached, config, remembered, slot.as_ref()).await;
        report.take("source.position", found);
    } else if !remembered.known {
        report.unasked(
            &["source.position"],
            "the destination was not asked how far it is",
        );
    }
    if makes_slot(remembered, slot.as_ref()) {
        let found = transactions(reached).await;
        report.take("source.transactions", found);
    } else {
        let what = "no slot is to be made, so that none is waited for";
        report.add(Finding::ok("source.transactions", what));
    }
    slot
}

fn state(
    reached: &Reached,
    config: &Config,
    remembered: &Remembered,
    slot: Option<&Slot>,
) -> Vec<Finding> {
    const ID: &str = "source.slot";
    let name = &config.slot;
    let mut found = Vec::new();
    let followed = remembered.position.as_ref();
    match (followed.map(|row| row.state), slot) {
        (None, None) if remembered.known => {
            found.push(Finding::ok(ID, format!("a run makes the slot {name}")));
        }
        (None, None) => found.push(Finding::ok(
            ID,
            format!("there is no slot {name}; a run makes it, unless the destination has a position for it"),
        )),
        (Some(State::Intent), _) => {}
        (Some(State::Streaming), None) => {
            if let Some(row) = followed {
                let timeline = reached.system.as_ref().map_or(0, |system| system.timeline);
                let gone = start::slot_gone(row, timeline);
                found.push(anew(Finding::of(ID, &gone), config));
            }
        }
        (None, Some(_)) if remembered.known && config.copy != Copy::No => {
            let quoted = walstream::quote_literal(name);
            found.push(Finding::of(ID, &start::foreign_slot(config)).mended_by([
                Mend::source(format!("SELECT pg_drop_replication_slot({quoted})")),
                Mend::hand("if nobody needs it; with --copy no it is taken over, where the destination agrees with it"),
            ]));
        }
        (_, Some(slot)) => match &reached.system {
            None => found.push(Finding::unknown(
                ID,
                "no session for replication could be opened, so its database cannot be compared",
            )),
            Some(system) => found.push(match start::usable(slot, system) {
                Ok(()) => Finding::ok(
                    ID,
                    format!(
                        "the slot {name} is there, and confirmed up to {}",
                        slot.confirmed_flush.map_or_else(|| "nothing".to_owned(), |lsn| lsn.to_string())
                    ),
                ),
                Err(error) => match &slot.state {
                    walstream::SlotState::Lost { .. } => anew(Finding::of(ID, &error), config),
                    _ => Finding::of(ID, &error)
                        .mended_by([Mend::option(format!("--slot {name}_2"))]),
                },
            }),
        },
    }
    if let Some(pid) = slot.and_then(|slot| slot.active_pid) {
        let wait = config.takeover.as_secs();
        found.push(
            Finding::warning(
                "source.slot_in_use",
                format!("process {pid} of the server reads the slot {name} for somebody; a run waits {wait} s for it, and then ends"),
            )
            .mend(Mend::hand("stop the replicator that reads it, or leave it to it"))
            .mend(Mend::source(format!("SELECT pg_terminate_backend({pid})"))),
        );
    }
    let each = found.into_iter();
    each.map(|it| it.about(name)).collect()
}

/// What mends it where all is to be copied anew: what is run as it was, without the slot and the rows of the ledger.
fn anew(found: Finding, config: &Config) -> Finding {
    let drop = format!("replicator drop --slot {}", config.slot);
    found.mended_by([
        Mend::shell(drop),
        Mend::hand("give that the same --source, --destination and --publication; then remove the tables at the destination, which are made and filled anew"),
    ])
}

/// Each comparison that a run makes once it owns the slot.
async fn position(
    reached: &mut Reached,
    config: &Config,
    remembered: &Remembered,
    slot: Option<&Slot>,
) -> Result<Vec<Finding>> {
    const ID: &str = "source.position";
    let Some(row) = &remembered.position else {
        return Ok(Vec::new());
    };
    let mut wrong: Vec<Error> = Vec::new();
    let mut note = |done: Result<()>| wrong.extend(done.err());
    match (&reached.system, &mut reached.wire) {
        (Some(system), Some(wire)) => {
            note(start::check_system(row, system));
            let history = if system.timeline > 1 {
                wire.timeline_history(system.timeline).await?
            } else {
                Vec::new()
            };
            note(agree::timeline(row, system, &history));
        }
        _ => {
            return Ok(vec![Finding::unknown(
                ID,
                "no session for replication could be opened, which tells the source's history",
            )]);
        }
    }
    note(agree::end_of_log(row, reached.source.flush_lsn().await?));
    if let Some(slot) = slot {
        note(agree::slot(row, slot));
    }
    if wrong.is_empty() {
        let what = format!(
            "the destination is at {}, which agrees with the source",
            row.lsn
        );
        return Ok(vec![Finding::ok(ID, what)]);
    }
    let found = wrong
        .iter()
        .map(|error| anew(Finding::of(ID, error), config));
    Ok(found.collect())
}

/// What a slot that is made waits for: whatever runs and has written something, in any database.
async fn transactions(reached: &mut Reached) -> Result<Vec<Finding>> {
    const ID: &str = "source.transactions";
    let client = reached.source.client();
    let creator = client.process_id();
    let mut blockers = client.blockers(creator).await?;
    if blockers
        .iter()
        .any(|it| matches!(it, Blocker::Transaction { .. }))
    {
        // Short ones come and go.
        tokio::time::sleep(AGAIN).await;
        let again = client.blockers(creator).await?;
        blockers.retain(|it| again.contains(it));
    }
    if blockers.is_empty() {
        let what = "no transaction runs that the making of a slot would wait for";
        return Ok(vec![Finding::ok(ID, what)]);
    }
    let mut found = Vec::new();
    for blocker in &blockers {
        let (xid, mend, about) = match blocker {
            Blocker::Transaction { pid, .. } => {
                let sql = format!(
                    "SELECT backend_xid::text, extract(epoch FROM now() - xact_start)::int8 FROM pg_stat_activity WHERE pid = {pid}"
                );
                let mend = Mend::source(format!("SELECT pg_terminate_backend({pid})"));
                (sql, mend, pid.to_string())
            }
            Blocker::Prepared { gid, database, .. } => {
                let gid = walstream::quote_literal(gid);
                let sql = format!(
                    "SELECT transaction::text, extract(epoch FROM now() - prepared)::int8 FROM pg_prepared_xacts WHERE gid = {gid}"
                );
                let mend = if *database == reached.database {
                    Mend::source(format!("ROLLBACK PREPARED {}", gid.trim_start()))
                } else {
                    Mend::hand(format!(
                        "in database {database:?}: ROLLBACK PREPARED {gid}, or COMMIT PREPARED"
                    ))
                };
                (sql, mend, gid)
            }
            // Said as the standby that it is.
            _ => continue,
        };
        let rows = reached.source.client().query(&xid).await?;
        let shown = |at| rows.first().and_then(|row| row.get(at)).unwrap_or("?");
        let what = format!(
            "the making of the slot waits for {blocker} (xid {}, {} s old)",
            shown(0),
            shown(1)
        );
        found.push(Finding::warning(ID, what).about(about).mend(mend));
    }
    Ok(found)
}
