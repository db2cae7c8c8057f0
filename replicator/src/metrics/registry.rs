//! The text of a scrape, in the form of OpenMetrics and in Prometheus' older one.
//!
//! Names are `replicator_` and a noun, with the unit behind it: `_seconds`, `_bytes`, `_ratio`, and what is counted
//! (`_transactions`, `_rows`). What is not known is left out rather than told as nothing.

use std::fmt;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use walstream::WalStatus;

use super::figures::{Figures, SlotFigures};
use super::health::exceeded;
use super::histogram::Histogram;
use super::{Fault, Inner, Metrics};
use crate::position::TableState;

/// What is asked for by an `Accept` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    OpenMetrics,
    Prometheus,
}

impl Form {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

impl Metrics {
    /// All of it as OpenMetrics text, which Prometheus reads.
    pub fn text(&self) -> String {
        self.text_as(Form::OpenMetrics)
    }

    pub(super) fn text_as(&self, form: Form) -> String {
        let mut registry = Registry::with_prefix("replicator");
        registry.register_collector(Box::new(Encoded(self.clone())));
        let mut out = String::with_capacity(16 << 10);
        let written = match form {
            Form::OpenMetrics => text::encode(&mut out, &registry),
            Form::Prometheus => prometheus_text::encode(&mut out, &registry),
        };
        written.expect("a string takes all that is written to it");
        out
    }
}

#[derive(Debug)]
struct Encoded(Metrics);

impl Collector for Encoded {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        let figures = self.0.figures();
        out.about(&self.0, &figures)?;
        out.counts(&self.0.0, &figures)?;
        out.sides(&figures)?;
        out.lag(&self.0, &figures)?;
        out.tables(&self.0)?;
        out.copy(&self.0)?;
        if let Some(seen) = figures.observed {
            out.seen(&figures, seen.as_secs_f64())?;
        }
        out.histograms(&self.0.0)
    }
}

/// Writes one metric after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn gauge(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        value: &impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?
            .encode_gauge(value)
    }

    /// 1 or 0.
    fn flag(&mut self, name: &str, help: &str, value: bool) -> fmt::Result {
        self.gauge(name, None, help, &u32::from(value))
    }

    fn counter(&mut self, name: &str, unit: Option<Unit>, help: &str, value: u64) -> fmt::Result {
        self.0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// One gauge for each set of labels.
    fn family<V: EncodeGaugeValue, const N: usize>(
        &mut self,
        name: &str,
        unit: Option<Unit>,
        help: &str,
        values: impl IntoIterator<Item = ([(&'static str, String); N], V)>,
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        for (labels, value) in values {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        name: &str,
        unit: &Unit,
        help: &str,
        histogram: &Histogram,
    ) -> fmt::Result {
        let (sum, count, buckets) = histogram.read();
        self.0
            .encode_descriptor(name, help, Some(unit), MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }

    fn about(&mut self, metrics: &Metrics, figures: &Figures) -> fmt::Result {
        let labels = [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("slot", metrics.state().slot.clone()),
        ];
        self.0
            .encode_descriptor("build", "Version and slot.", None, MetricType::Info)?
            .encode_info(&labels)?;
        let phases = ["waiting", "starting", "copying", "streaming", "ended"];
        self.family(
            "phase",
            None,
            "What the run is at: 1 for that, 0 for the others.",
            phases.map(|phase| {
                let is = figures.phase.name() == phase;
                ([("phase", phase.to_owned())], u32::from(is))
            }),
        )?;
        self.flag(
            "paused",
            "Whether it is paused: no rows are copied, and no changes applied.",
            figures.paused,
        )?;
        self.flag(
            "ready",
            "Whether /readyz says so: what is replicated arrives.",
            metrics.readiness().is_ready(),
        )
    }

    fn counts(&mut self, inner: &Inner, figures: &Figures) -> fmt::Result {
        self.counter(
            "applied",
            Some(other("transactions")),
            "Source transactions that are durable at the destination, heartbeats included.",
            figures.transactions,
        )?;
        self.counter(
            "applied",
            Some(other("changes")),
            "Changes of rows, and truncated tables, that are durable at the destination.",
            figures.changes,
        )?;
        self.counter(
            "left_out",
            Some(other("changes")),
            "Changes that went to the quarantine file instead of the destination.",
            figures.left_out,
        )?;
        self.counter(
            "heartbeats",
            None,
            "Heartbeats that were written to the source.",
            figures.heartbeats,
        )?;
        let mut metric = self.0.encode_descriptor(
            "errors",
            "What went wrong, by kind; most of it was mended by another attempt.",
            None,
            MetricType::Counter,
        )?;
        for (fault, count) in Fault::ALL.iter().zip(&inner.errors) {
            let count = match fault {
                Fault::SourceLost => figures.source_losses,
                _ => count.load(Ordering::Relaxed),
            };
            metric
                .encode_family(&[("kind", fault.name())])?
                .encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }

    fn sides(&mut self, figures: &Figures) -> fmt::Result {
        self.flag(
            "source_connected",
            "Whether the stream is connected.",
            figures.source_connected,
        )?;
        if let Some(silent) = figures.source_silent {
            self.gauge(
                "source_silent",
                Some(Unit::Seconds),
                "Since when nothing was heard of the source; one without news is asked after its wal_sender_timeout.",
                &silent.as_secs_f64(),
            )?;
        }
        self.flag(
            "destination_connected",
            "Whether the destination takes changes.",
            figures.destination_connected,
        )?;
        let lost = figures.destination_lost.unwrap_or_default();
        self.gauge(
            "destination_lost",
            Some(Unit::Seconds),
            "Since when the destination takes no changes; 0 while it does.",
            &lost.as_secs_f64(),
        )?;
        self.gauge(
            "memory",
            Some(Unit::Bytes),
            "Received changes in memory.",
            &figures.memory,
        )?;
        self.gauge(
            "spool",
            Some(Unit::Bytes),
            "Received changes in the files of the spool.",
            &figures.spool,
        )
    }

    fn lag(&mut self, metrics: &Metrics, figures: &Figures) -> fmt::Result {
        self.gauge(
            "position",
            Some(Unit::Bytes),
            "Position in the source's WAL before which everything is durable at the destination.",
            &figures.position.0,
        )?;
        self.gauge(
            "received_position",
            Some(Unit::Bytes),
            "Position in the source's WAL before which everything was received.",
            &figures.received.0,
        )?;
        if let Some(lag) = figures.lag_bytes {
            self.gauge(
                "lag",
                Some(Unit::Bytes),
                "WAL of the source that the destination does not have.",
                &lag,
            )?;
        }
        if let Some(lag) = figures.lag {
            self.gauge(
                "lag",
                Some(Unit::Seconds),
                "How old what the destination has is, by the source's clock; 0 when it has everything.",
                &lag.as_secs_f64(),
            )?;
        }
        let guard = metrics.state().guard;
        self.flag(
            "lag_exceeded",
            "Whether the lag is above --max-lag.",
            !exceeded(figures, guard).is_empty(),
        )?;
        let running = figures.batch_running.unwrap_or_default();
        self.gauge(
            "batch_running",
            Some(Unit::Seconds),
            "For how long the present batch has been written; 0 while there is none.",
            &running.as_secs_f64(),
        )
    }

    fn tables(&mut self, metrics: &Metrics) -> fmt::Result {
        let tables: Vec<_> = metrics.state().tables.values().cloned().collect();
        let states = [
            TableState::Copying,
            TableState::CatchingUp,
            TableState::Streaming,
            TableState::Stopped(String::new()),
        ];
        self.family(
            "tables",
            None,
            "Tables of the destination's ledger by their state.",
            states.map(|state| {
                let name = state.name();
                let count = tables.iter().filter(|it| it.state.name() == name).count();
                ([("state", name.to_owned())], count)
            }),
        )?;
        let stopped = tables.into_iter().filter(|table| table.is_stopped());
        self.family(
            "table_stopped",
            None,
            "1 for each table that is not followed any more.",
            stopped.map(|it| ([("schema", it.schema), ("table", it.name)], 1_u32)),
        )
    }

    fn copy(&mut self, metrics: &Metrics) -> fmt::Result {
        let copy = metrics.state().copy.clone();
        self.gauge(
            "copy",
            Some(other("tables")),
            "Tables of the copy that runs, or of the last one.",
            &copy.tables,
        )?;
        self.gauge(
            "copy_done",
            Some(other("tables")),
            "Those of them that are complete.",
            &copy.tables_done,
        )?;
        self.gauge(
            "copy",
            Some(other("rows")),
            "Rows that it has copied.",
            &copy.rows,
        )?;
        self.gauge(
            "copy",
            Some(Unit::Bytes),
            "Bytes that it has copied.",
            &copy.bytes,
        )?;
        self.gauge(
            "copy",
            Some(other("ratio")),
            "How much of it is done, from 0 to 1, as far as estimates tell.",
            &copy.fraction,
        )?;
        if let Some(remaining) = copy.remaining {
            self.gauge(
                "copy_remaining",
                Some(Unit::Seconds),
                "How long the rest of it takes, at the rate of the last half minute.",
                &remaining.as_secs_f64(),
            )?;
        }
        self.flag("copy_paused", "Whether it is paused.", copy.paused)?;
        let labels =
            |it: &crate::CopyTable| [("schema", it.schema.clone()), ("table", it.table.clone())];
        let running = &copy.running;
        self.family(
            "copy_table",
            Some(other("rows")),
            "Rows of a table that is being copied.",
            running.iter().map(|it| (labels(it), it.rows)),
        )?;
        self.family(
            "copy_table",
            Some(Unit::Bytes),
            "Bytes of a table that is being copied.",
            running.iter().map(|it| (labels(it), it.bytes)),
        )?;
        self.family(
            "copy_table",
            Some(other("ratio")),
            "How much of a table that is being copied is done, from 0 to 1.",
            running.iter().map(|it| (labels(it), it.fraction)),
        )
    }

    /// What the source says of itself and of the slot.
    fn seen(&mut self, figures: &Figures, ago: f64) -> fmt::Result {
        self.gauge(
            "observed",
            Some(Unit::Seconds),
            "How long ago the source said what the metrics about its WAL and slot say.",
            &ago,
        )?;
        if let Some(position) = figures.source_position {
            self.gauge(
                "source_position",
                Some(Unit::Bytes),
                "Position where the source's WAL ends.",
                &position.0,
            )?;
        }
        self.flag(
            "slot_exists",
            "Whether the slot is there.",
            figures.slot.is_some(),
        )?;
        let Some(SlotFigures {
            slot,
            retained,
            unconfirmed,
            inactive,
            ..
        }) = &figures.slot
        else {
            return Ok(());
        };
        self.flag(
            "slot_active",
            "Whether somebody uses the slot.",
            slot.active_pid.is_some(),
        )?;
        let inactive = inactive.unwrap_or_default();
        self.gauge(
            "slot_inactive",
            Some(Unit::Seconds),
            "Since when nobody uses the slot, from 17 on; 0 while somebody does.",
            &inactive.as_secs_f64(),
        )?;
        if let Some(retained) = retained {
            self.gauge(
                "slot_retained",
                Some(Unit::Bytes),
                "WAL that the slot keeps from being removed at the source.",
                retained,
            )?;
        }
        if let Some(unconfirmed) = unconfirmed {
            self.gauge(
                "slot_unconfirmed",
                Some(Unit::Bytes),
                "WAL behind what the slot was told to be durable.",
                unconfirmed,
            )?;
        }
        if let Some(safe) = slot.safe_wal_size {
            self.gauge(
                "slot_safe",
                Some(Unit::Bytes),
                "WAL that may still be written before the slot is in danger; only with max_slot_wal_keep_size.",
                &safe,
            )?;
        }
        let statuses = [
            ("reserved", WalStatus::Reserved),
            ("extended", WalStatus::Extended),
            ("unreserved", WalStatus::Unreserved),
            ("lost", WalStatus::Lost),
        ];
        self.family(
            "slot_wal_status",
            None,
            "The slot's wal_status: 1 for that, 0 for the others.",
            statuses.map(|(name, status)| {
                let is = slot.wal_status == Some(status);
                ([("status", name.to_owned())], u32::from(is))
            }),
        )
    }

    fn histograms(&mut self, inner: &Inner) -> fmt::Result {
        self.histogram(
            "batch",
            &other("transactions"),
            "Source transactions in one destination transaction.",
            &inner.batch_transactions,
        )?;
        self.histogram(
            "batch",
            &other("changes"),
            "Changes in one destination transaction.",
            &inner.batch_changes,
        )?;
        self.histogram(
            "batch",
            &Unit::Bytes,
            "Bytes of the source's messages in one destination transaction.",
            &inner.batch_bytes,
        )?;
        self.histogram(
            "batch",
            &Unit::Seconds,
            "Time that a destination transaction takes, its commit included.",
            &inner.batch_time,
        )?;
        self.histogram(
            "latency",
            &Unit::Seconds,
            "From the commit of a transaction at the source, by its clock, to the commit at the destination; heartbeats included.",
            &inner.latency,
        )?;
        self.histogram(
            "heartbeat",
            &Unit::Seconds,
            "From asking for a heartbeat to its being durable at the destination, by this machine's clock.",
            &inner.heartbeat_time,
        )
    }
}

fn other(what: &str) -> Unit {
    Unit::Other(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_knows_is_left_out() {
        let text = Metrics::new().text();
        assert!(
            text.contains("replicator_phase{phase=\"waiting\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("replicator_applied_transactions_total 0\n"),
            "{text}"
        );
        assert!(!text.contains("lag_seconds"), "{text}");
        assert!(text.ends_with("# EOF\n"));
        let older = Metrics::new().text_as(Form::Prometheus);
        assert!(
            older.contains("# TYPE replicator_applied_transactions_total counter\n"),
            "{older}"
        );
        assert!(!older.contains("# EOF"), "{older}");
    }

    #[test]
    fn buckets_end_with_all_there_are() {
        let metrics = Metrics::new();
        metrics.0.heartbeat_time.observe(4_000);
        for form in [Form::OpenMetrics, Form::Prometheus] {
            let text = metrics.text_as(form);
            for line in [
                "replicator_heartbeat_seconds_bucket{le=\"0.0025\"} 0\n",
                "replicator_heartbeat_seconds_bucket{le=\"0.005\"} 1\n",
                "replicator_heartbeat_seconds_bucket{le=\"+Inf\"} 1\n",
                "replicator_heartbeat_seconds_count 1\n",
                "replicator_heartbeat_seconds_sum 0.004\n",
            ] {
                assert_eq!(text.matches(line).count(), 1, "{line} in\n{text}");
            }
        }
    }
}
