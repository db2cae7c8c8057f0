//! Looks at everything a message lends out, without allocating.

use walproto::{Message, Tuple};

/// The sum of all lengths, so that nothing is optimised away.
pub(crate) fn visit(message: &Message<'_>) -> usize {
    match message {
        Message::Origin(m) => m.name.len(),
        Message::Relation(m) => {
            let columns: usize = m.columns.map(|column| column.name.len()).sum();
            m.namespace.len() + m.name.len() + columns
        }
        Message::Type(m) => m.namespace.len() + m.name.len(),
        Message::Insert(m) => row(m.new),
        Message::Update(m) => m.old.map_or(0, |old| row(old.tuple())) + row(m.new),
        Message::Delete(m) => row(m.old.tuple()),
        Message::Truncate(m) => m.relations.map(|oid| oid.0.count_ones() as usize).sum(),
        Message::Logical(m) => m.prefix.len() + m.content.len(),
        Message::BeginPrepare(m) => m.gid.len(),
        Message::Prepare(m) => m.gid.len(),
        Message::CommitPrepared(m) => m.gid.len(),
        Message::RollbackPrepared(m) => m.gid.len(),
        Message::StreamPrepare(m) => m.gid.len(),
        _ => 0,
    }
}

fn row(row: Tuple<'_>) -> usize {
    row.columns()
        .map(|column| {
            let text = column.as_str().map_or(0, |text| text.map_or(0, str::len));
            text + column.as_bytes().map_or(1, <[u8]>::len)
        })
        .sum()
}
