//! JSON lines for scripts. The shape is documented in the parent module.

use std::fmt::Display;

use walproto::capture::{Fields, Session};
use walproto::{Column, Keepalive, Lsn, Message, OldRow, Timestamp, Tuple};

use super::Shown;
use super::binary::text_of;
use super::error::ShowError;
use super::table::{Table, TableColumn, Tables, schema};
use super::time::Iso;
use super::value::{hex, put};

#[derive(Debug, Default)]
pub(super) struct Json {
    /// A value's text form, made from its binary form.
    text: Vec<u8>,
}

impl Json {
    pub(super) fn session(
        &self,
        out: &mut Vec<u8>,
        time: Timestamp,
        session: &Session<'_>,
        fields: Fields<'_>,
    ) {
        begin(out, "session");
        plain(out, "time", Iso(time));
        number(out, "server_version_num", session.server_version_num);
        // Beyond what a double holds.
        plain(out, "system_identifier", session.system_identifier);
        number(out, "timeline", session.timeline);
        plain(out, "start", session.start);
        number(out, "protocol", session.protocol);
        number(out, "binary", session.binary);
        plain(out, "streaming", session.streaming.as_str());
        number(out, "continued", session.continued);
        member(out, "options", session.options);
        name(out, "fields");
        out.push(b'{');
        for (key, value) in fields.unknown() {
            member(out, key, value);
        }
        out.extend_from_slice(b"}}\n");
    }

    pub(super) fn keepalive(&self, out: &mut Vec<u8>, keepalive: &Keepalive) {
        begin(out, "keepalive");
        plain(out, "lsn", keepalive.wal_end);
        plain(out, "time", Iso(keepalive.sent_at));
        number(out, "reply_requested", keepalive.reply_requested);
        out.extend_from_slice(b"}\n");
    }

    pub(super) fn unknown(&self, out: &mut Vec<u8>, frame: &[u8]) {
        begin(out, "unknown");
        name(out, "frame");
        out.push(b'"');
        hex(out, frame);
        out.extend_from_slice(b"\"}\n");
    }

    pub(super) fn message(
        &mut self,
        out: &mut Vec<u8>,
        shown: &Shown<'_>,
        tables: &Tables,
    ) -> Result<(), ShowError> {
        match shown.message {
            Message::Begin(begin) => {
                head(out, "begin", shown);
                plain(out, "final_lsn", begin.final_lsn);
            }
            Message::Commit(commit) => {
                head(out, "commit", shown);
                plain(out, "commit_lsn", commit.commit_lsn);
                plain(out, "end_lsn", commit.end_lsn);
            }
            Message::StreamCommit(commit) => {
                head(out, "stream_commit", shown);
                plain(out, "commit_lsn", commit.commit_lsn);
                plain(out, "end_lsn", commit.end_lsn);
                plain(out, "commit_time", Iso(commit.commit_time));
            }
            Message::Insert(insert) => {
                head(out, "insert", shown);
                let table = tables.get(insert.relation)?;
                copy(out, &table.json);
                self.new_row(out, table, insert.new);
            }
            Message::Update(update) => {
                head(out, "update", shown);
                let table = tables.get(update.relation)?;
                copy(out, &table.json);
                if let Some(old) = update.old {
                    self.old_row(out, table, old);
                }
                self.new_row(out, table, update.new);
            }
            Message::Delete(delete) => {
                head(out, "delete", shown);
                let table = tables.get(delete.relation)?;
                copy(out, &table.json);
                self.old_row(out, table, delete.old);
            }
            Message::Truncate(truncate) => {
                head(out, "truncate", shown);
                name(out, "tables");
                out.push(b'[');
                for oid in truncate.relations {
                    comma(out);
                    out.push(b'{');
                    copy(out, &tables.get(oid)?.json);
                    out.push(b'}');
                }
                out.push(b']');
                number(out, "cascade", truncate.cascade);
                number(out, "restart_identity", truncate.restart_identity);
            }
            Message::Logical(logical) => {
                head(out, "message", shown);
                number(out, "transactional", logical.transactional);
                member(out, "prefix", logical.prefix);
                name(out, "content");
                text(out, logical.content);
            }
            Message::Origin(origin) => {
                head(out, "origin", shown);
                plain(out, "commit_lsn", origin.commit_lsn);
                member(out, "name", origin.name);
            }
            Message::StreamAbort(abort) => {
                head(out, "stream_abort", shown);
                if let Some((lsn, time)) = abort.abort {
                    plain(out, "abort_lsn", lsn);
                    plain(out, "abort_time", Iso(time));
                }
            }
            Message::BeginPrepare(it) => {
                head(out, "begin_prepare", shown);
                prepare(out, it.gid, it.prepare_lsn, it.end_lsn, it.prepare_time);
            }
            Message::Prepare(it) => {
                head(out, "prepare", shown);
                prepare(out, it.gid, it.prepare_lsn, it.end_lsn, it.prepare_time);
            }
            Message::StreamPrepare(it) => {
                head(out, "stream_prepare", shown);
                prepare(out, it.gid, it.prepare_lsn, it.end_lsn, it.prepare_time);
            }
            Message::CommitPrepared(commit) => {
                head(out, "commit_prepared", shown);
                member(out, "gid", commit.gid);
                plain(out, "commit_lsn", commit.commit_lsn);
                plain(out, "end_lsn", commit.end_lsn);
                plain(out, "commit_time", Iso(commit.commit_time));
            }
            Message::RollbackPrepared(rollback) => {
                head(out, "rollback_prepared", shown);
                member(out, "gid", rollback.gid);
                plain(out, "prepare_end_lsn", rollback.prepare_end_lsn);
                plain(out, "rollback_end_lsn", rollback.rollback_end_lsn);
                plain(out, "prepare_time", Iso(rollback.prepare_time));
                plain(out, "rollback_time", Iso(rollback.rollback_time));
            }
            Message::Relation(relation) => {
                head(out, "relation", shown);
                copy(out, &tables.get(relation.oid)?.json);
                number(out, "oid", relation.oid);
                plain(out, "identity", relation.identity.letter());
                name(out, "columns");
                out.push(b'[');
                for column in relation.columns {
                    comma(out);
                    out.push(b'{');
                    member(out, "name", column.name);
                    number(out, "type_oid", column.type_oid);
                    number(out, "typmod", column.typmod);
                    number(out, "key", column.key);
                    out.push(b'}');
                }
                out.push(b']');
            }
            Message::Type(kind) => {
                head(out, "type", shown);
                member(out, "schema", schema(kind.namespace));
                member(out, "name", kind.name);
                number(out, "oid", kind.oid);
            }
            Message::StreamStart(start) => {
                head(out, "stream_start", shown);
                number(out, "first_segment", start.first_segment);
            }
            Message::StreamStop => head(out, "stream_stop", shown),
            // What a later version of the parser knows.
            _ => head(out, "other", shown),
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    fn new_row(&mut self, out: &mut Vec<u8>, table: &Table, row: Tuple<'_>) {
        name(out, "new");
        out.push(b'{');
        let mut unchanged = 0;
        for (column, value) in table.columns.iter().zip(row.columns()) {
            match value {
                Column::Unchanged => unchanged += 1,
                value => self.cell(out, column, value),
            }
        }
        out.push(b'}');
        if unchanged > 0 {
            name(out, "unchanged");
            out.push(b'[');
            for (column, value) in table.columns.iter().zip(row.columns()) {
                if value == Column::Unchanged {
                    comma(out);
                    // Without the colon.
                    out.extend_from_slice(column.json.strip_suffix(b":").unwrap_or_default());
                }
            }
            out.push(b']');
        }
    }

    fn old_row(&mut self, out: &mut Vec<u8>, table: &Table, old: OldRow<'_>) {
        let key_only = matches!(old, OldRow::Key(_));
        name(out, if key_only { "key" } else { "old" });
        out.push(b'{');
        for (column, value) in table.columns.iter().zip(old.tuple().columns()) {
            if column.key || !key_only {
                self.cell(out, column, value);
            }
        }
        out.push(b'}');
    }

    fn cell(&mut self, out: &mut Vec<u8>, column: &TableColumn, value: Column<'_>) {
        comma(out);
        out.extend_from_slice(&column.json);
        match value {
            Column::Null | Column::Unchanged => out.extend_from_slice(b"null"),
            Column::Text(bytes) => text(out, bytes),
            Column::Binary(bytes) => {
                self.text.clear();
                if text_of(&mut self.text, column.type_oid, bytes) {
                    text(out, &self.text);
                } else {
                    tagged(out, "binary", bytes);
                }
            }
        }
    }
}

pub(crate) fn begin(out: &mut Vec<u8>, kind: &str) {
    out.push(b'{');
    plain(out, "kind", kind);
}

fn head(out: &mut Vec<u8>, kind: &str, shown: &Shown<'_>) {
    begin(out, kind);
    plain(out, "lsn", shown.lsn);
    if let Some(xid) = shown.xid {
        number(out, "xid", xid);
    }
    if let Some(top) = shown.top {
        number(out, "top_xid", top);
    }
    if let Some(time) = shown.commit_time {
        plain(out, "commit_time", Iso(time));
    }
}

fn prepare(out: &mut Vec<u8>, gid: &str, at: Lsn, end: Lsn, time: Timestamp) {
    member(out, "gid", gid);
    plain(out, "prepare_lsn", at);
    plain(out, "end_lsn", end);
    plain(out, "prepare_time", Iso(time));
}

/// A comma, unless something has only begun.
pub(crate) fn comma(out: &mut Vec<u8>) {
    if !matches!(out.last(), None | Some(b'{' | b'[')) {
        out.push(b',');
    }
}

fn copy(out: &mut Vec<u8>, members: &[u8]) {
    comma(out);
    out.extend_from_slice(members);
}

pub(crate) fn name(out: &mut Vec<u8>, name: &str) {
    comma(out);
    string(out, name);
    out.push(b':');
}

/// A value that needs neither quotes nor escapes.
pub(crate) fn number(out: &mut Vec<u8>, key: &str, value: impl Display) {
    name(out, key);
    put(out, format_args!("{value}"));
}

/// A value that needs no escapes.
pub(crate) fn plain(out: &mut Vec<u8>, key: &str, value: impl Display) {
    name(out, key);
    put(out, format_args!("\"{value}\""));
}

/// A member that is text.
pub(crate) fn member(out: &mut Vec<u8>, key: &str, value: &str) {
    name(out, key);
    string(out, value);
}

/// A JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("text into memory is always written");
}

/// A JSON string, or an object with the bytes if they are not UTF-8.
pub(crate) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => string(out, text),
        Err(_) => tagged(out, "bytes", bytes),
    }
}

pub(crate) fn tagged(out: &mut Vec<u8>, tag: &str, bytes: &[u8]) {
    put(out, format_args!("{{\"{tag}\":\""));
    hex(out, bytes);
    out.extend_from_slice(b"\"}");
}
