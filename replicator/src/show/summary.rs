//! What happened to each table, counted.

use std::collections::HashMap;

use walproto::{Lsn, Message, Oid, Timestamp};

use super::Shown;
use super::error::ShowError;
use super::people::{grouped, size, table};
use super::table::Tables;
use super::time::Iso;
use super::value::put;

#[derive(Debug)]
pub(super) struct Summary {
    json: bool,
    /// In the order of their first change.
    tables: Vec<Counts>,
    /// Where each is in that list. A table made anew under its name is the same to a reader.
    by_name: HashMap<String, usize>,
    by_oid: HashMap<Oid, usize>,
    sessions: u64,
    messages: u64,
    total: Span,
    transactions: Transactions,
}

#[derive(Debug, Default)]
struct Transactions {
    committed: u64,
    aborted: u64,
    prepared: u64,
    commits_prepared: u64,
    rollbacks_prepared: u64,
    logical: u64,
}

#[derive(Debug, Default)]
struct Counts {
    name: String,
    schema: String,
    table: String,
    inserts: u64,
    updates: u64,
    deletes: u64,
    truncates: u64,
    span: Span,
}

/// From where to where, in the order of arrival.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    first: Option<(Lsn, Timestamp)>,
    last: Option<(Lsn, Timestamp)>,
    bytes: u64,
}

impl Span {
    fn reach(&mut self, shown: &Shown<'_>) {
        self.bytes += shown.len as u64;
        if !shown.lsn.is_zero() {
            let place = (shown.lsn, shown.sent_at);
            self.first.get_or_insert(place);
            self.last = Some(place);
        }
    }
}

impl Summary {
    pub(super) fn new(json: bool) -> Self {
        Self {
            json,
            tables: Vec::new(),
            by_name: HashMap::new(),
            by_oid: HashMap::new(),
            sessions: 0,
            messages: 0,
            total: Span::default(),
            transactions: Transactions::default(),
        }
    }

    pub(super) fn session(&mut self) {
        self.sessions += 1;
        self.by_oid.clear();
    }

    pub(super) fn message(&mut self, shown: &Shown<'_>, tables: &Tables) -> Result<(), ShowError> {
        self.messages += 1;
        self.total.reach(shown);
        let ends = &mut self.transactions;
        match shown.message {
            Message::Commit(_) | Message::StreamCommit(_) => ends.committed += 1,
            Message::StreamAbort(abort) if abort.xid == abort.subxid => ends.aborted += 1,
            Message::Prepare(_) | Message::StreamPrepare(_) => ends.prepared += 1,
            Message::CommitPrepared(_) => ends.commits_prepared += 1,
            Message::RollbackPrepared(_) => ends.rollbacks_prepared += 1,
            Message::Logical(_) => ends.logical += 1,
            // From here on the oid may stand for another name.
            Message::Relation(relation) => {
                self.by_oid.remove(&relation.oid);
            }
            Message::Insert(insert) => {
                self.count(shown, tables, insert.relation)?.inserts += 1;
            }
            Message::Update(update) => {
                self.count(shown, tables, update.relation)?.updates += 1;
            }
            Message::Delete(delete) => {
                self.count(shown, tables, delete.relation)?.deletes += 1;
            }
            Message::Truncate(truncate) => {
                for oid in truncate.relations {
                    self.count(shown, tables, oid)?.truncates += 1;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn count(
        &mut self,
        shown: &Shown<'_>,
        tables: &Tables,
        oid: Oid,
    ) -> Result<&mut Counts, ShowError> {
        let at = match self.by_oid.get(&oid) {
            Some(at) => *at,
            None => {
                let table = tables.get(oid)?;
                let next = self.tables.len();
                let at = *self.by_name.entry(table.name.clone()).or_insert(next);
                if at == next {
                    self.tables.push(Counts {
                        name: table.name.clone(),
                        schema: table.schema.clone(),
                        table: table.table.clone(),
                        ..Counts::default()
                    });
                }
                self.by_oid.insert(oid, at);
                at
            }
        };
        let counts = &mut self.tables[at];
        counts.span.reach(shown);
        Ok(counts)
    }

    pub(super) fn write(&mut self, out: &mut Vec<u8>) {
        self.tables.sort_by(|a, b| a.name.cmp(&b.name));
        if self.json {
            self.write_json(out);
        } else {
            self.write_lines(out);
        }
    }

    fn write_lines(&self, out: &mut Vec<u8>) {
        let head = [
            "table",
            "inserts",
            "updates",
            "deletes",
            "truncates",
            "bytes",
            "first",
            "last",
            "first sent",
            "last sent",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for counts in &self.tables {
            let mut row = vec![counts.name.clone()];
            let numbers = [
                counts.inserts,
                counts.updates,
                counts.deletes,
                counts.truncates,
            ];
            row.extend(numbers.map(grouped));
            row.push(size(counts.span.bytes));
            row.extend(places(counts.span));
            rows.push(row);
        }
        if !self.tables.is_empty() {
            for line in table(&rows) {
                put(
                    out,
                    format_args!("{}\n", line.strip_prefix("  ").unwrap_or(&line)),
                );
            }
            out.push(b'\n');
        }
        let ends = &self.transactions;
        put(
            out,
            format_args!(
                "{} committed",
                plural(ends.committed, "transaction", "transactions")
            ),
        );
        for (count, what) in [
            (ends.prepared, "prepared"),
            (ends.commits_prepared, "committed after that"),
            (ends.rollbacks_prepared, "rolled back after that"),
            (ends.aborted, "aborted while being streamed"),
        ] {
            if count > 0 {
                put(out, format_args!(", {} {what}", grouped(count)));
            }
        }
        if ends.logical > 0 {
            let what = plural(ends.logical, "logical message", "logical messages");
            put(out, format_args!("; {what}"));
        }
        put(
            out,
            format_args!(
                "; in all {} of {}",
                plural(self.messages, "message", "messages"),
                size(self.total.bytes)
            ),
        );
        if self.sessions > 1 {
            put(out, format_args!(" in {} sessions", grouped(self.sessions)));
        }
        if let (Some((first, _)), Some((last, _))) = (self.total.first, self.total.last) {
            put(out, format_args!(", {first} to {last}"));
        }
        out.push(b'\n');
    }

    /// One object for each table, and one, of the kind `total`, for all.
    fn write_json(&self, out: &mut Vec<u8>) {
        for counts in &self.tables {
            let object = serde_json::json!({
                "kind": "table",
                "schema": counts.schema,
                "table": counts.table,
                "inserts": counts.inserts,
                "updates": counts.updates,
                "deletes": counts.deletes,
                "truncates": counts.truncates,
                "bytes": counts.span.bytes,
                "first_lsn": counts.span.first.map(lsn),
                "last_lsn": counts.span.last.map(lsn),
                "first_sent": counts.span.first.map(time),
                "last_sent": counts.span.last.map(time),
            });
            put(out, format_args!("{object}\n"));
        }
        let Transactions {
            committed,
            aborted,
            prepared,
            commits_prepared,
            rollbacks_prepared,
            logical,
        } = &self.transactions;
        let object = serde_json::json!({
            "kind": "total",
            "sessions": self.sessions,
            "messages": self.messages,
            "bytes": self.total.bytes,
            "committed": committed,
            "aborted": aborted,
            "prepared": prepared,
            "commits_prepared": commits_prepared,
            "rollbacks_prepared": rollbacks_prepared,
            "logical_messages": logical,
            "first_lsn": self.total.first.map(lsn),
            "last_lsn": self.total.last.map(lsn),
            "first_sent": self.total.first.map(time),
            "last_sent": self.total.last.map(time),
        });
        put(out, format_args!("{object}\n"));
    }
}

fn places(span: Span) -> [String; 4] {
    let text = |place: Option<String>| place.unwrap_or_default();
    [
        text(span.first.map(lsn)),
        text(span.last.map(lsn)),
        text(span.first.map(time)),
        text(span.last.map(time)),
    ]
}

fn lsn(place: (Lsn, Timestamp)) -> String {
    place.0.to_string()
}

fn time(place: (Lsn, Timestamp)) -> String {
    Iso(place.1).to_string()
}

fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}
