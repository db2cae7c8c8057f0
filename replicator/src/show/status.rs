//! The status of a replication, for people and as JSON. [`Status::json`] documents the shape.

use std::fmt::Display;
use std::time::Duration;

use serde_json::{Value, json};
use walstream::{Slot, WalStatus};

use super::people::{size, span};
use super::time::Iso;
use crate::error::Error;
use crate::position::TableState;
use crate::status::{DestinationStatus, SourceStatus, Status};

impl Status {
    /// As a JSON object on a line of its own, newline included.
    ///
    /// Scripts depend on it: members are added, never renamed or dropped. `kind` is `status`. What is not known is `null`:
    ///
    /// - `slot`: its name; `exit_code`: what the program ends with.
    /// - `source`: `error` where it could not be asked, else `version`, `wal_lsn`, and `slot`, `null` where there is none,
    ///   else `database`, `plugin`, `active_pid`, `holder`, `wal_status`, `invalidation_reason`, `restart_lsn`,
    ///   `confirmed_flush_lsn`, `retained_bytes`, `unconfirmed_bytes`, `safe_wal_size`, `inactive_seconds`, `two_phase`,
    ///   `sent_lsn`, `answered_seconds` (ago), `flush_lag_seconds` (as the server measured it last), `wait_event`.
    /// - `destination`: `null` where none was named, `error` where it could not be asked, else `position`, `null` where there is
    ///   none, else `state`, `lsn`, `epoch`, `holder`, `timeline`, `source_time` (when the last transaction committed that is
    ///   in); and `tables`, a list of `schema`, `table`, `destination`, `state`, `reason`, `sync_lsn`.
    /// - `lag_bytes`, and `lag_seconds_at_most` ([`lag_at_most`](Self::lag_at_most)).
    /// - `bytes_per_second`: `written`, `confirmed`, `stored`.
    /// - `causes`: a list of `kind`, `text`, `remedy`, `needs_person`.
    pub fn json(&self) -> String {
        let rates = self.rates;
        let causes = self.causes.iter().map(|it| {
            json!({
                "kind": it.kind,
                "text": it.text,
                "remedy": it.remedy,
                "needs_person": it.needs_person,
            })
        });
        let all = json!({
            "kind": "status",
            "slot": self.name,
            "exit_code": self.exit_code(),
            "source": self.source.as_ref().map_or_else(failed, source),
            "destination": self.destination.as_ref().map(|it| it.as_ref().map_or_else(failed, destination)),
            "lag_bytes": self.lag_bytes,
            "lag_seconds_at_most": self.lag_at_most.map(seconds),
            "bytes_per_second": {
                "written": rates.written,
                "confirmed": rates.confirmed,
                "stored": rates.stored,
            },
            "causes": causes.collect::<Vec<_>>(),
        });
        format!("{all}\n")
    }

    /// As lines for people.
    pub fn lines(&self) -> String {
        let mut out = Lines::default();
        out.line(format!("slot {:?}", self.name));
        match &self.source {
            Ok(source) => out.source(source),
            Err(_) => out.field("source", "cannot be asked"),
        }
        match &self.destination {
            Some(Ok(destination)) => out.destination(destination),
            Some(Err(_)) => out.field("destination", "cannot be asked"),
            None => {}
        }
        out.lag(self);
        if let Some(Ok(destination)) = &self.destination {
            out.tables(destination);
        }
        let idle = self.rates.written == Some(0) || self.lag_bytes == Some(0);
        match (self.causes.is_empty(), idle) {
            (true, true) => out.line("everything that was written is durable or on its way"),
            (true, false) => out.line("it moves"),
            (false, _) => out.line("what there is to know"),
        }
        for cause in &self.causes {
            out.line(format!("  - {}", cause.text));
            if let Some(remedy) = &cause.remedy {
                out.line(format!("    {remedy}"));
            }
        }
        out.0
    }
}

fn failed(error: &Error) -> Value {
    json!({ "error": error.to_string() })
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn text(value: Option<impl Display>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn source(it: &SourceStatus) -> Value {
    json!({
        "version": it.version,
        "wal_lsn": it.wal.to_string(),
        "slot": it.slot.as_ref().map(|slot| of_slot(it, slot)),
    })
}

fn of_slot(it: &SourceStatus, slot: &Slot) -> Value {
    let sender = it.sender.clone().unwrap_or_default();
    json!({
        "database": slot.database,
        "plugin": slot.plugin,
        "active_pid": slot.active_pid,
        "holder": it.holder,
        "wal_status": slot.wal_status.map(wal_status),
        "invalidation_reason": it.lost(),
        "restart_lsn": text(slot.restart_lsn),
        "confirmed_flush_lsn": text(slot.confirmed_flush),
        "retained_bytes": it.retained(),
        "unconfirmed_bytes": it.unconfirmed(),
        "safe_wal_size": slot.safe_wal_size,
        "inactive_seconds": it.inactive.map(seconds),
        "two_phase": slot.two_phase,
        "sent_lsn": text(sender.sent),
        "answered_seconds": sender.answered.map(seconds),
        "flush_lag_seconds": sender.flush_lag.map(seconds),
        "wait_event": sender.wait,
    })
}

const fn wal_status(status: WalStatus) -> &'static str {
    match status {
        WalStatus::Reserved => "reserved",
        WalStatus::Extended => "extended",
        WalStatus::Unreserved => "unreserved",
        WalStatus::Lost => "lost",
        _ => "unknown",
    }
}

fn destination(it: &DestinationStatus) -> Value {
    let tables = it.tables.iter().map(|row| {
        let reason = match &row.state {
            TableState::Stopped(reason) => Some(reason),
            _ => None,
        };
        json!({
            "schema": row.table.schema,
            "table": row.table.name,
            "destination": row.table.destination,
            "state": row.state.name(),
            "reason": reason,
            "sync_lsn": text(row.sync_position),
        })
    });
    let position = it.position.as_ref().map(|row| {
        json!({
            "state": row.state.name(),
            "lsn": row.lsn.to_string(),
            "epoch": row.epoch,
            "holder": row.holder,
            "timeline": row.timeline,
            "source_time": row.source_time.map(|time| Iso(time).to_string()),
        })
    });
    json!({ "position": position, "tables": tables.collect::<Vec<_>>() })
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, text: impl Display) {
        self.0.push_str(&format!("{text}\n"));
    }

    fn field(&mut self, name: &str, text: impl Display) {
        self.line(format!("  {name:<14} {text}"));
    }

    fn source(&mut self, it: &SourceStatus) {
        self.field(
            "source",
            format!("PostgreSQL {}, WAL ends at {}", it.version, it.wal),
        );
        let Some(slot) = &it.slot else { return };
        let used = match (&it.holder, it.inactive) {
            (Some(holder), _) => holder.clone(),
            (None, Some(time)) => format!("nobody, for {}", span(time)),
            (None, None) => "nobody".to_owned(),
        };
        self.field("in use by", used);
        if let Some(confirmed) = slot.confirmed_flush {
            let behind = size(it.unconfirmed().unwrap_or(0));
            self.field("confirmed", format!("{confirmed}, {behind} behind"));
        }
        if let Some(restart) = slot.restart_lsn {
            let status = slot.wal_status.map_or("unknown", wal_status);
            let held = size(it.retained().unwrap_or(0));
            let left = match slot.safe_wal_size.map(u64::try_from) {
                Some(left) => format!(", {} until it is in danger", size(left.unwrap_or(0))),
                None => String::new(),
            };
            self.field(
                "holds back",
                format!("{held} of WAL from {restart} on, wal_status {status}{left}"),
            );
        }
    }

    fn destination(&mut self, it: &DestinationStatus) {
        match &it.position {
            Some(row) => self.field(
                "destination",
                format!(
                    "{}, {} by {} (epoch {})",
                    row.lsn,
                    row.state.name(),
                    row.holder,
                    row.epoch
                ),
            ),
            None => self.field("destination", "remembers nothing of this slot"),
        }
    }

    fn lag(&mut self, status: &Status) {
        if let Some(bytes) = status.lag_bytes {
            let time = match status.lag_at_most {
                Some(time) if time.is_zero() => String::new(),
                Some(time) => format!(", at most {}", span(time)),
                None => ", for longer than was looked".to_owned(),
            };
            self.field("lag", format!("{}{time}", size(bytes)));
        }
        let rates = status.rates;
        if let (Some(written), Some(confirmed)) = (rates.written, rates.confirmed) {
            let stored = match rates.stored {
                Some(stored) => format!(", {}/s stored", size(stored)),
                None => String::new(),
            };
            self.field(
                "rates",
                format!(
                    "{}/s of WAL written, {}/s confirmed{stored}",
                    size(written),
                    size(confirmed)
                ),
            );
        }
    }

    fn tables(&mut self, it: &DestinationStatus) {
        if it.tables.is_empty() {
            return;
        }
        self.line("tables");
        let name = |at: usize| it.tables.get(at).map(|row| row.table.to_string());
        let names = (0..it.tables.len()).filter_map(name);
        let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
        for row in &it.tables {
            let (name, state) = (row.table.to_string(), row.state.name());
            self.line(format!("  {name:<width$}  {state}"));
        }
    }
}
