//! The source's settings that bear on slots, on the stream, and on how long WAL is kept.

use std::collections::HashMap;

use super::copies;
use super::finding::{Finding, Mend, Report};
use super::source::Reached;
use crate::config::{Config, Streaming};
use crate::copy::estimate;
use crate::error::Result;
use crate::show::people;

/// What the server says of its settings.
#[derive(Debug, Default)]
struct Settings(HashMap<String, Setting>);

#[derive(Debug)]
struct Setting {
    /// In its base unit.
    value: String,
    /// As people write it.
    shown: String,
    /// Another value is written down that counts from the next start.
    pending: bool,
}

const NAMES: &str = "'wal_level', 'effective_wal_level', 'max_replication_slots', 'max_wal_senders', 'max_slot_wal_keep_size',
                     'idle_replication_slot_timeout', 'output_plugin_libraries',
                     'logical_decoding_work_mem', 'synchronized_standby_slots'";

const IDS: [&str; 9] = [
    "source.wal_level",
    "source.slots",
    "source.walsenders",
    "source.max_slot_wal_keep_size",
    "source.idle_replication_slot_timeout",
    "source.wal_sender_timeout",
    "source.output_plugin_libraries",
    "source.logical_decoding_work_mem",
    "source.failover",
];

impl Settings {
    async fn read(reached: &mut Reached) -> Result<Self> {
        let sql = format!(
            "SELECT name, setting, current_setting(name), pending_restart FROM pg_settings WHERE name IN ({NAMES})"
        );
        let rows = reached.source.client().query(&sql).await?;
        let read = |row: &walstream::Row| {
            let text = |at| row.get(at).unwrap_or_default().to_owned();
            let setting = Setting {
                value: text(1),
                shown: text(2),
                pending: row.get(3) == Some("t"),
            };
            (text(0), setting)
        };
        Ok(Self(rows.iter().map(read).collect()))
    }

    fn get(&self, name: &str) -> Option<&Setting> {
        self.0.get(name)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.value.parse().ok()
    }
}

/// Looks at them; `has_slot` says whether the slot is there already.
pub(super) async fn look(
    reached: &mut Reached,
    config: &Config,
    has_slot: bool,
    report: &mut Report,
) {
    let settings = match Settings::read(reached).await {
        Ok(settings) => settings,
        Err(error) => {
            let why = format!("the server does not tell its settings: {error}");
            report.unasked(&IDS, &why);
            return;
        }
    };
    report.add(wal_level(reached, &settings));
    let found = slots(reached, &settings, has_slot).await;
    report.take("source.slots", found);
    // Where even one could not be had, that was said with the server's own words.
    if reached.wire.is_some() {
        let found = walsenders(reached, &settings, has_slot).await;
        report.take("source.walsenders", found);
    }
    let found = kept(reached, &settings, config, has_slot).await;
    report.take("source.max_slot_wal_keep_size", found);
    report.add(idle_timeout(reached, &settings));
    report.add(sender_timeout(reached));
    report.add(plugins(reached, &settings));
    report.add(work_mem(&settings, config));
    let found = failover(reached, &settings, config).await;
    report.take("source.failover", found);
}

fn wal_level(reached: &Reached, settings: &Settings) -> Finding {
    const ID: &str = "source.wal_level";
    let level = settings.get("wal_level");
    let value = level.map_or("not told", |it| &*it.value);
    // From 19 on it rises by itself while there are logical slots.
    let effective = settings.get("effective_wal_level");
    let rises = effective.is_some() && value == "replica";
    if value == "logical" {
        return Finding::ok(ID, "wal_level is logical");
    }
    if rises {
        let is = effective.map_or("", |it| &*it.value);
        return Finding::ok(
            ID,
            format!(
                "wal_level is replica, and the server raises it while there are logical slots; it is {is} now"
            ),
        );
    }
    let service = reached.service;
    if level.is_some_and(|it| it.pending) {
        return Finding::wrong(
            ID,
            format!("wal_level is {value}; another one is configured, and counts from the next start of the server"),
        )
        .mends(service.set_wal_level());
    }
    Finding::wrong(
        ID,
        format!(
            "wal_level is {value}: the source does not write enough WAL for logical replication"
        ),
    )
    .mends(service.set_wal_level())
}

async fn slots(reached: &mut Reached, settings: &Settings, has_slot: bool) -> Result<Vec<Finding>> {
    const ID: &str = "source.slots";
    let sql = "SELECT count(*), string_agg(slot_name, ', ' ORDER BY slot_name) FILTER (WHERE NOT active) FROM pg_replication_slots";
    let row = reached.row(sql).await?;
    let used: i64 = row.get(0).and_then(|it| it.parse().ok()).unwrap_or(0);
    let idle = row.get(1).unwrap_or("none");
    let most = settings.number("max_replication_slots").unwrap_or(0);
    let free = most - used;
    let said = format!("{used} of {most} replication slots are in use (max_replication_slots)");
    let more = |needed: i64| {
        let value = (used + needed).max(most).to_string();
        reached.service.set("max_replication_slots", &value, true)
    };
    Ok(vec![if free < 1 && !has_slot {
        Finding::wrong(
            ID,
            format!("{said}, and a run needs one; nobody reads these: {idle}"),
        )
        .mends(more(2))
    } else if free < 1 || free < 2 && !has_slot {
        Finding::warning(
            ID,
            format!("{said}: a table that joins later needs one for its copy; nobody reads these: {idle}"),
        )
        .mends(more(2))
    } else {
        Finding::ok(ID, said)
    }])
}

async fn walsenders(
    reached: &mut Reached,
    settings: &Settings,
    has_slot: bool,
) -> Result<Vec<Finding>> {
    const ID: &str = "source.walsenders";
    let row = reached
        .row("SELECT count(*) FROM pg_stat_replication")
        .await?;
    // One is ours, for this look.
    let used: i64 = row.get(0).and_then(|it| it.parse().ok()).unwrap_or(1) - 1;
    let most = settings.number("max_wal_senders").unwrap_or(0);
    let free = most - used;
    let said = format!("{used} of {most} WAL senders are in use (max_wal_senders)");
    // One looks, and one makes the slot; later one streams, and one takes snapshots for tables that join.
    let needed = if has_slot { 1 } else { 2 };
    let value = (used + 3).max(most).to_string();
    let mends = reached.service.set("max_wal_senders", &value, true);
    Ok(vec![if free < needed {
        Finding::wrong(ID, format!("{said}, and a run needs {needed}")).mends(mends)
    } else if free < 2 {
        Finding::warning(
            ID,
            format!("{said}: a table that joins later needs one beside the stream"),
        )
        .mends(mends)
    } else {
        Finding::ok(ID, said)
    }])
}

async fn kept(
    reached: &mut Reached,
    settings: &Settings,
    config: &Config,
    has_slot: bool,
) -> Result<Vec<Finding>> {
    const ID: &str = "source.max_slot_wal_keep_size";
    let Some(kept) = estimate::wal_kept(&mut reached.source).await? else {
        let value = settings
            .get("max_slot_wal_keep_size")
            .map_or("-1", |it| &*it.shown);
        return Ok(vec![
            Finding::warning(
                ID,
                format!(
                    "max_slot_wal_keep_size is {value}, no limit: while nobody reads the slot, WAL is kept until the source's \
                     disk is full. With a limit the slot is lost instead, and all is to be copied again; choose one that \
                     outlasts the longest absence"
                ),
            )
            .mends(reached.service.set("max_slot_wal_keep_size", "100GB", false)),
        ]);
    };
    let said = format!("slots keep {} of WAL at most", people::size(kept));
    if has_slot || !copies(config) {
        return Ok(vec![Finding::ok(ID, said)]);
    }
    // What changes during a first copy waits in the WAL; the database's size is the most that can be to copy.
    let row = reached
        .row("SELECT pg_database_size(current_database())")
        .await?;
    let size: u64 = row.get(0).and_then(|it| it.parse().ok()).unwrap_or(0);
    Ok(vec![if kept < size {
        Finding::warning(
            ID,
            format!(
                "{said}, less than the {} of the database: where much changes during the first copy, the slot is lost before \
                 it is complete",
                people::size(size)
            ),
        )
        .mends(reached.service.set(
            "max_slot_wal_keep_size",
            &format!("{}MB", size.div_ceil(1 << 20) + 1),
            false,
        ))
    } else {
        Finding::ok(ID, said)
    }])
}

fn idle_timeout(reached: &Reached, settings: &Settings) -> Finding {
    const ID: &str = "source.idle_replication_slot_timeout";
    let Some(setting) = settings.get("idle_replication_slot_timeout") else {
        return Finding::ok(ID, "this version does not give slots up for being idle");
    };
    if setting.value == "0" {
        return Finding::ok(ID, "slots are not given up for being idle");
    }
    Finding::warning(
        ID,
        format!(
            "a slot that nobody reads for {} is lost, and all is to be copied again",
            setting.shown
        ),
    )
    .mends(
        reached
            .service
            .set("idle_replication_slot_timeout", "0", false),
    )
}

fn sender_timeout(reached: &Reached) -> Finding {
    const ID: &str = "source.wal_sender_timeout";
    let what = reached.wire.as_ref().map_or_else(
        || "whatever the server has, our own sessions set theirs".to_owned(),
        |wire| {
            format!(
                "our own sessions have {} s, whatever the server has: a process that hangs loses the slot then",
                wire.wal_sender_timeout().as_secs()
            )
        },
    );
    Finding::ok(ID, what)
}

fn plugins(reached: &Reached, settings: &Settings) -> Finding {
    const ID: &str = "source.output_plugin_libraries";
    let Some(setting) = settings.get("output_plugin_libraries") else {
        return Finding::ok(ID, "this server does not limit output plugins");
    };
    match allowing(&setting.value) {
        None => Finding::ok(
            ID,
            "pgoutput is among the output plugins that the server allows",
        ),
        Some(value) => Finding::wrong(
            ID,
            format!(
                "output_plugin_libraries is {:?}, which keeps pgoutput out",
                setting.value
            ),
        )
        .mends(reached.service.set_list("output_plugin_libraries", &value)),
    }
}

/// The list with `pgoutput` in it, where it is not.
fn allowing(list: &str) -> Option<Vec<&str>> {
    let names = list.split(',').map(|name| name.trim().trim_matches('"'));
    let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    if names.contains(&"pgoutput") {
        return None;
    }
    Some([&["pgoutput"], &*names].concat())
}

fn work_mem(settings: &Settings, config: &Config) -> Finding {
    const ID: &str = "source.logical_decoding_work_mem";
    let shown = settings
        .get("logical_decoding_work_mem")
        .map_or("not told", |it| &*it.shown);
    let what = if config.streaming == Some(Streaming::Off) || config.protocol == Some(1) {
        "are spilled to the server's disk, because they are not streamed"
    } else {
        "are streamed before they commit"
    };
    Finding::ok(
        ID,
        format!("{shown} (logical_decoding_work_mem); transactions that take more {what}"),
    )
}

/// From 17 on standbys can keep slots in step.
async fn failover(
    reached: &mut Reached,
    settings: &Settings,
    config: &Config,
) -> Result<Vec<Finding>> {
    const ID: &str = "source.failover";
    if reached.major < 17 {
        let what = "before 17 a slot does not outlive a failover: promoted standbys do not have it";
        return Ok(vec![Finding::ok(ID, what)]);
    }
    let mut found = Vec::new();
    let slot = reached.source.client().slot(&config.slot).await?;
    let kept = slot.as_ref().and_then(|slot| slot.failover) == Some(true);
    let row = reached
        .row("SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical' AND active")
        .await?;
    let standbys: i64 = row.get(0).and_then(|it| it.parse().ok()).unwrap_or(0);
    found.push(match (standbys, kept) {
        (0, false) => Finding::ok(ID, "no standby reads through a slot, so there is none to fail over to"),
        (_, true) => Finding::ok(ID, "the slot is kept in step on standbys that ask for it"),
        (_, false) if slot.is_some() => Finding::warning(
            ID,
            format!("{standbys} standbys read through slots, and {} is not kept in step there: after a failover it is gone", config.slot),
        )
        .mend(Mend::hand("stop the run, if one reads the slot"))
        .mend(Mend::shell(format!(
            "psql \"dbname={} replication=database\" -c 'ALTER_REPLICATION_SLOT {} (FAILOVER true)'",
            reached.database,
            walstream::quote_identifier(&config.slot)
        ))),
        (_, false) => Finding::warning(
            ID,
            format!("{standbys} standbys read through slots, and the slot that a run makes is not kept in step there: after a failover it is gone"),
        )
        .mend(Mend::hand("run with --copy only first, and check again: what keeps the slot in step is said then")),
    });
    let waits = settings.get("synchronized_standby_slots");
    if let Some(waits) = waits.filter(|it| kept && !it.value.trim().is_empty()) {
        let names: Vec<String> = waits
            .value
            .split(',')
            .map(|name| walstream::quote_literal(name.trim().trim_matches('"')))
            .collect();
        let sql = format!(
            "SELECT string_agg(name, ', ') FROM unnest(ARRAY[{}]) AS name
             WHERE NOT EXISTS (SELECT FROM pg_replication_slots s WHERE s.slot_name = name AND s.slot_type = 'physical' AND s.active)",
            names.join(", ")
        );
        if let Some(missing) = reached.row(&sql).await?.get(0) {
            found.push(
                Finding::warning(
                    "source.synchronized_standby_slots",
                    format!("nothing is sent before the standbys of {} have it, and nobody reads {missing}", waits.value),
                )
                .mends(reached.service.set("synchronized_standby_slots", "", false)),
            );
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_plugins_keeps_what_it_has() {
        for (list, mended) in [
            ("pgoutput, test_decoding", None),
            (r#""pgoutput""#, None),
            ("", Some(&["pgoutput"][..])),
            (
                "test_decoding,wal2json",
                Some(&["pgoutput", "test_decoding", "wal2json"][..]),
            ),
        ] {
            assert_eq!(allowing(list).as_deref(), mended, "{list:?}");
        }
    }
}
