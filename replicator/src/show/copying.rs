//! Progress of a copy as JSON lines. The shape is documented in the parent module.

use std::time::Duration;

use super::json::{begin, comma, member, name, number};
use crate::copy::{CopyEvent, CopyProgress, CopyTable};

impl CopyEvent {
    /// As a JSON object on a line of its own, newline included; [`show`](crate::show) documents the shape.
    pub fn json(&self) -> String {
        let mut out = Vec::new();
        match self {
            Self::Begun(plan) => {
                begin(&mut out, "copy_begun");
                number(&mut out, "tables", plan.tables);
                optional(&mut out, "estimated_rows", plan.estimated_rows);
                number(&mut out, "estimated_bytes", plan.estimated_bytes);
                number(&mut out, "workers", plan.workers);
                optional(&mut out, "rate", plan.rate);
                optional(&mut out, "wal_kept", plan.wal_kept);
            }
            Self::TableBegun(it) => {
                begin(&mut out, "copy_table_begun");
                table(&mut out, it);
            }
            Self::Progress(it) => {
                begin(&mut out, "copy_progress");
                progress(&mut out, it);
            }
            Self::TableDone(it) => {
                begin(&mut out, "copy_table_done");
                table(&mut out, it);
            }
            Self::Done(it) => {
                begin(&mut out, "copy_done");
                progress(&mut out, it);
            }
        }
        out.extend_from_slice(b"}\n");
        String::from_utf8(out).expect("names are text")
    }
}

fn progress(out: &mut Vec<u8>, it: &CopyProgress) {
    number(out, "tables_done", it.tables_done);
    number(out, "tables", it.tables);
    number(out, "rows", it.rows);
    number(out, "bytes", it.bytes);
    optional(out, "estimated_rows", it.estimated_rows);
    number(out, "estimated_bytes", it.estimated_bytes);
    number(out, "percent", percent(it.fraction));
    number(out, "rows_per_second", it.rows_per_second);
    number(out, "bytes_per_second", it.bytes_per_second);
    optional(
        out,
        "remaining_seconds",
        it.remaining.map(|it| it.as_secs()),
    );
    seconds(out, it.elapsed);
    number(out, "paused", it.paused);
    name(out, "running");
    out.push(b'[');
    for running in &it.running {
        comma(out);
        out.push(b'{');
        table(out, running);
        out.push(b'}');
    }
    out.push(b']');
}

fn table(out: &mut Vec<u8>, it: &CopyTable) {
    member(out, "schema", &it.schema);
    member(out, "table", &it.table);
    number(out, "rows", it.rows);
    number(out, "bytes", it.bytes);
    optional(out, "estimated_rows", it.estimated_rows);
    number(out, "estimated_bytes", it.estimated_bytes);
    number(out, "percent", percent(it.fraction));
    seconds(out, it.elapsed);
}

fn seconds(out: &mut Vec<u8>, elapsed: Duration) {
    let millis = elapsed.subsec_millis();
    number(
        out,
        "elapsed_seconds",
        format_args!("{}.{millis:03}", elapsed.as_secs()),
    );
}

/// With one digit, rounded down: what is not complete is not 100.
fn percent(fraction: f64) -> String {
    format!("{:.1}", (fraction * 1000.0).floor() / 10.0)
}

fn optional(out: &mut Vec<u8>, key: &str, value: Option<u64>) {
    match value {
        Some(value) => number(out, key, value),
        None => number(out, key, "null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::CopyPlan;

    /// Scripts depend on every byte of these.
    #[test]
    fn the_shape_stays() {
        let table = CopyTable {
            schema: "public".to_owned(),
            table: "a\"b".to_owned(),
            rows: 10,
            bytes: 1000,
            estimated_rows: Some(40),
            estimated_bytes: 8192,
            fraction: 0.25,
            elapsed: Duration::from_millis(1005),
        };
        let progress = CopyProgress {
            tables_done: 1,
            tables: 2,
            rows: 10,
            bytes: 1000,
            estimated_rows: None,
            estimated_bytes: 16_384,
            fraction: 0.9999,
            rows_per_second: 5,
            bytes_per_second: 500,
            remaining: None,
            elapsed: Duration::from_secs(2),
            paused: true,
            running: vec![table.clone(), table.clone()],
        };
        let plan = CopyPlan {
            tables: 2,
            estimated_rows: None,
            estimated_bytes: 16_384,
            workers: 2,
            rate: Some(20_000_000),
            wal_kept: None,
        };
        let done = CopyProgress {
            fraction: 1.0,
            remaining: Some(Duration::ZERO),
            paused: false,
            running: Vec::new(),
            ..progress.clone()
        };
        let lines: String = [
            CopyEvent::Begun(plan),
            CopyEvent::TableBegun(table.clone()),
            CopyEvent::Progress(progress),
            CopyEvent::TableDone(table),
            CopyEvent::Done(done),
        ]
        .iter()
        .map(CopyEvent::json)
        .collect();
        let expected = concat!(
            r#"{"kind":"copy_begun","tables":2,"estimated_rows":null,"estimated_bytes":16384,"workers":2,"rate":20000000,"wal_kept":null}"#,
            "\n",
            r#"{"kind":"copy_table_begun","schema":"public","table":"a\"b","rows":10,"bytes":1000,"estimated_rows":40,"estimated_bytes":8192,"percent":25.0,"elapsed_seconds":1.005}"#,
            "\n",
            r#"{"kind":"copy_progress","tables_done":1,"tables":2,"rows":10,"bytes":1000,"estimated_rows":null,"estimated_bytes":16384,"percent":99.9,"rows_per_second":5,"bytes_per_second":500,"remaining_seconds":null,"elapsed_seconds":2.000,"paused":true,"running":[{"schema":"public","table":"a\"b","rows":10,"bytes":1000,"estimated_rows":40,"estimated_bytes":8192,"percent":25.0,"elapsed_seconds":1.005},{"schema":"public","table":"a\"b","rows":10,"bytes":1000,"estimated_rows":40,"estimated_bytes":8192,"percent":25.0,"elapsed_seconds":1.005}]}"#,
            "\n",
            r#"{"kind":"copy_table_done","schema":"public","table":"a\"b","rows":10,"bytes":1000,"estimated_rows":40,"estimated_bytes":8192,"percent":25.0,"elapsed_seconds":1.005}"#,
            "\n",
            r#"{"kind":"copy_done","tables_done":1,"tables":2,"rows":10,"bytes":1000,"estimated_rows":null,"estimated_bytes":16384,"percent":100.0,"rows_per_second":5,"bytes_per_second":500,"remaining_seconds":0,"elapsed_seconds":2.000,"paused":false,"running":[]}"#,
            "\n",
        );
        assert_eq!(lines, expected);
        for line in lines.lines() {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}
