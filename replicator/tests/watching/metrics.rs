//! What a scrape says of a run, and what dashboard and alerts ask of it.

use std::collections::BTreeSet;

use replicator::{Config, Metrics, Phase, ShutdownHandle};

use crate::common::PATIENCE;
use crate::scrape::{Scrape, address, get};
use crate::site;

/// What has no unit: states, and what is counted in itself.
const WITHOUT_UNIT: [&str; 15] = [
    "build",
    "phase",
    "paused",
    "ready",
    "heartbeats",
    "errors",
    "source_connected",
    "destination_connected",
    "lag_exceeded",
    "tables",
    "table_stopped",
    "copy_paused",
    "slot_exists",
    "slot_active",
    "slot_wal_status",
];

#[test]
fn every_metric_is_described_and_all_that_is_asked_for_is_there() {
    let site = site();
    site.sql("CREATE TABLE large (id int PRIMARY KEY, v text)");
    site.sql("INSERT INTO large SELECT i, 'xxxxxxxxxx' FROM generate_series(1, 30000) i");
    site.sql("CREATE TABLE leaving (id int PRIMARY KEY)");
    site.sql("ANALYZE");
    let mut running = site.run(&[
        "--metrics",
        "127.0.0.1:0",
        "--heartbeat",
        "200ms",
        "--copy-rate",
        "100kB",
    ]);
    let address = address(&mut running);
    let mut scrape = Scrape::default();
    let large = "replicator_copy_table_rows{schema=\"public\",table=\"large\"}";
    // While it copies,
    running.until("rows of a table and what remains are told", || {
        scrape = Scrape::of(&address);
        scrape.find(large).is_some_and(|rows| rows > 0.0)
            && scrape.find("replicator_copy_remaining_seconds").is_some()
    });
    assert!(scrape.value("replicator_phase{phase=\"copying\"}") > 0.0);
    assert!(scrape.value("replicator_ready") < 1.0);
    let ratio = scrape.value("replicator_copy_table_ratio{schema=\"public\",table=\"large\"}");
    assert!(ratio > 0.0 && ratio < 1.0, "{ratio}");
    let mut names: BTreeSet<String> = scrape.names().map(str::to_owned).collect();
    check_descriptions(&scrape);

    // and when it streams.
    running.until_it_says(" streaming ");
    site.sql("INSERT INTO t SELECT i, 'v' FROM generate_series(11, 20) i");
    site.sql("UPDATE t SET v = 'w' WHERE id > 10");
    running.until("changes and heartbeats are counted", || {
        scrape = Scrape::of(&address);
        scrape.value("replicator_applied_changes_total") >= 20.0
            && scrape.value("replicator_heartbeat_seconds_count") >= 2.0
            && scrape.find("replicator_slot_safe_bytes").is_some()
    });
    let value = |name: &str| scrape.value(name);
    let same = |one: f64, other: f64| (one - other).abs() < 0.5;
    assert!(same(value("replicator_applied_changes_total"), 20.0));
    assert!(value("replicator_applied_transactions_total") >= 4.0);
    assert!(value("replicator_heartbeats_total") >= 2.0);
    assert!(same(
        value("replicator_latency_seconds_count"),
        value("replicator_applied_transactions_total")
    ));
    assert!(same(
        value("replicator_batch_transactions_sum"),
        value("replicator_applied_transactions_total")
    ));
    assert!(same(value("replicator_batch_changes_sum"), 20.0));
    assert!(same(
        value("replicator_batch_seconds_count"),
        value("replicator_batch_changes_count")
    ));
    assert!(same(value("replicator_tables{state=\"streaming\"}"), 3.0));
    assert!(same(value("replicator_source_connected"), 1.0));
    assert!(same(value("replicator_destination_connected"), 1.0));
    assert!(same(value("replicator_ready"), 1.0));
    assert!(same(value("replicator_slot_active"), 1.0));
    assert!(same(value("replicator_copy_done_tables"), 3.0));
    assert!(same(value("replicator_copy_rows"), 30_002.0));
    let info = format!(
        "replicator_build_info{{version=\"{}\",slot=\"{}\"}}",
        env!("CARGO_PKG_VERSION"),
        site.slot
    );
    assert!(same(value(&info), 1.0));
    // Positions are where the other side says they are.
    let position = value("replicator_position_bytes");
    #[expect(clippy::cast_precision_loss, reason = "a young server")]
    let stored = site.stored() as f64;
    assert!(position > 0.0 && position <= stored, "{position} {stored}");

    // A table that is stopped,
    site.sql("ALTER PUBLICATION replicator DROP TABLE leaving");
    let stopped = "replicator_table_stopped{schema=\"public\",table=\"leaving\"}";
    running.until("a stopped table is told", || {
        scrape = Scrape::of(&address);
        scrape.find(stopped).is_some()
    });
    assert!(same(
        scrape.value("replicator_errors_total{kind=\"table_stopped\"}"),
        1.0
    ));
    assert!(same(scrape.value("replicator_ready"), 0.0));
    check_descriptions(&scrape);
    names.extend(scrape.names().map(str::to_owned));
    // The older form has the same names.
    let older = get(&address, "/metrics");
    assert!(
        older
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        older.head
    );
    for name in scrape.names() {
        assert!(
            older.body.contains(&format!("\n{name}")),
            "{name} in\n{}",
            older.body
        );
    }
    running.terminate().done();

    for (file, text) in [
        ("alerts.yml", include_str!("../../monitoring/alerts.yml")),
        (
            "dashboard.json",
            include_str!("../../monitoring/dashboard.json"),
        ),
    ] {
        let wanted = metrics_in(text);
        assert!(wanted.len() > 10, "{file} names {wanted:?}");
        let missing: Vec<_> = wanted.difference(&names).collect();
        assert!(
            missing.is_empty(),
            "{file} names what is in no scrape: {missing:?}"
        );
    }
    // And the other way round: what there is, is explained.
    let docs = include_str!("../../docs/monitoring.md");
    let (docs, _) = docs
        .split_once("\n## Status")
        .expect("a part about metrics");
    let explained = metrics_in(docs);
    for (name, family) in &scrape.families {
        let name = match &*family.kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.clone(),
        };
        assert!(
            explained.contains(&name),
            "docs/monitoring.md has no {name}"
        );
    }
    let surplus: Vec<_> = explained
        .iter()
        .filter(|name| !names.iter().any(|it| it.starts_with(name.as_str())))
        .collect();
    assert!(
        surplus.is_empty(),
        "docs/monitoring.md explains what is not there: {surplus:?}"
    );
}

fn check_descriptions(scrape: &Scrape) {
    for (name, family) in &scrape.families {
        let short = name.strip_prefix("replicator_").expect(name);
        assert!(family.help.ends_with('.'), "{name}: {:?}", family.help);
        assert!(
            ["counter", "gauge", "histogram", "info"].contains(&&*family.kind),
            "{name}: {}",
            family.kind
        );
        match &family.unit {
            Some(unit) => assert!(name.ends_with(&format!("_{unit}")), "{name}: {unit}"),
            None => assert!(WITHOUT_UNIT.contains(&short), "{name} has no unit"),
        }
        if family.kind == "counter" {
            let total = |(sample, _): &(String, f64)| sample.starts_with(&format!("{name}_total"));
            assert!(
                family.samples.iter().all(total),
                "{name}: {:?}",
                family.samples
            );
        }
    }
}

/// Names that begin as ours do, in any text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        .filter(|word| word.starts_with("replicator_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn an_address_that_cannot_be_listened_at_is_a_mistake_of_the_command_line() {
    let site = site();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();
    for address in [&*taken, "nonsense", "127.0.0.1", "127.0.0.1:99999", ""] {
        let outcome = site.catch_up(&["--metrics", address]);
        outcome.failed(2, &["--metrics", address]);
    }
    assert!(!site.path().exists(), "something was made");
    for (option, value) in [
        ("--max-lag", "fast"),
        ("--max-lag", "0"),
        ("--heartbeat", "10"),
        ("--heartbeat", "1ms"),
    ] {
        let outcome = site.catch_up(&[option, value]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains(option), "{}", outcome.stderr);
    }
}

#[test]
fn who_runs_the_library_has_the_same_figures() {
    let site = site();
    let metrics = Metrics::new();
    let (handle, shutdown) = ShutdownHandle::new();
    let config = Config::new(site.source(), site.destination())
        .slot(&site.slot)
        .metrics(&metrics);
    let watching = metrics.clone();
    let run = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(replicator::run(config, shutdown))
    });
    crate::common::until("it is ready", || watching.readiness().is_ready());
    site.sql("INSERT INTO t VALUES (3, 'three'), (4, 'four')");
    crate::common::until("changes are counted", || watching.figures().changes == 2);
    crate::common::until("the slot is seen", || {
        let figures = watching.figures();
        figures.slot.is_some_and(|it| it.slot.active_pid.is_some())
            && figures.lag == Some(std::time::Duration::ZERO)
            && figures.lag_bytes == Some(0)
    });
    let figures = watching.figures();
    assert_eq!(figures.phase, Phase::Streaming);
    assert_eq!((figures.transactions, figures.left_out), (1, 0));
    assert!(figures.source_connected && figures.destination_connected);
    assert!(!figures.position.is_zero());
    handle.shut_down();
    let summary = run.join().expect("no panic").expect("no error");
    assert_eq!(summary.changes, 2);
    let figures = metrics.figures();
    assert_eq!(figures.phase, Phase::Ended(None));
    assert_eq!(figures.position, summary.position);
    assert_eq!(metrics.readiness().reasons(), ["the run has ended"]);
    assert!(PATIENCE > figures.observed.expect("it was observed"));
}
