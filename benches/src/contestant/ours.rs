//! walproto, used as its documentation says.

use walproto::{Column, Decoder, Message, TextColumn, Tuple};

use crate::{Sum, Workload};

/// Columns as bytes.
#[inline(never)]
pub fn bytes(workload: &Workload) -> Sum {
    sum(workload, |sum, row| {
        for column in row.columns() {
            match column {
                Column::Null => sum.null(),
                Column::Unchanged => sum.unchanged(),
                Column::Text(value) | Column::Binary(value) => sum.bytes(value),
            }
        }
    })
}

/// Text columns as `&str`, checked.
#[inline(never)]
pub fn text(workload: &Workload) -> Sum {
    sum(workload, |sum, row| {
        for column in row.text_columns() {
            match column {
                TextColumn::Null => sum.null(),
                TextColumn::Unchanged => sum.unchanged(),
                TextColumn::Text(value) => sum.bytes(value.as_bytes()),
                TextColumn::Binary(value) => sum.bytes(value),
                TextColumn::NotUtf8(value) => panic!("{value:?}"),
            }
        }
    })
}

#[inline(always)]
fn sum(workload: &Workload, columns: impl Fn(&mut Sum, Tuple<'_>)) -> Sum {
    let mut sum = Sum::default();
    let mut decoder = Decoder::new().binary(workload.binary());
    for message in workload.messages() {
        let decoded = decoder.decode(message).expect("captures are sound");
        sum.number(message[0]);
        if let Some(xid) = decoded.xid {
            sum.number(xid.0);
        }
        let row = |sum: &mut Sum, row: Tuple<'_>| {
            sum.number(row.len() as u64);
            columns(sum, row);
        };
        match decoded.message {
            Message::Insert(m) => {
                sum.number(m.relation.0);
                row(&mut sum, m.new);
            }
            Message::Update(m) => {
                sum.number(m.relation.0);
                if let Some(old) = m.old {
                    row(&mut sum, old.tuple());
                }
                row(&mut sum, m.new);
            }
            Message::Begin(m) => {
                sum.number(m.final_lsn.0);
                sum.number(m.commit_time.0.cast_unsigned());
                sum.number(m.xid.0);
            }
            Message::Commit(m) => {
                sum.number(m.commit_lsn.0);
                sum.number(m.end_lsn.0);
                sum.number(m.commit_time.0.cast_unsigned());
            }
            Message::Relation(m) => {
                sum.number(m.oid.0);
                sum.bytes(m.namespace.as_bytes());
                sum.bytes(m.name.as_bytes());
                sum.number(u32::from(m.identity.letter()));
                sum.number(m.columns.len() as u64);
                for column in m.columns {
                    sum.number(u8::from(column.key));
                    sum.bytes(column.name.as_bytes());
                    sum.number(column.type_oid.0);
                    sum.number(column.typmod.cast_unsigned());
                }
            }
            Message::StreamStart(m) => {
                sum.number(m.xid.0);
                sum.number(u8::from(m.first_segment));
            }
            Message::StreamStop => {}
            Message::StreamCommit(m) => {
                sum.number(m.xid.0);
                sum.number(m.commit_lsn.0);
                sum.number(m.end_lsn.0);
                sum.number(m.commit_time.0.cast_unsigned());
            }
            other => unreachable!("not in a workload: {other:?}"),
        }
    }
    sum
}
