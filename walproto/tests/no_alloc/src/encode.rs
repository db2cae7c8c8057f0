//! Messages written into buffers on the stack.

use walproto::{
    Column, ColumnDef, ColumnDefs, EncodeError, Encoder, Frame, Insert, Keepalive, Lsn, Message,
    Oid, Relation, RelationOids, ReplicaIdentity, Timestamp, Truncate, Tuple, TupleWriter,
};

/// Writes the message that was read, and messages of our own; gives the number of bytes.
pub(crate) fn again(message: &Message<'_>) -> usize {
    let mut buffer = [0; 256];
    let mut encoder = Encoder::new().binary(true).parallel(true);
    let len = match encoder.encode(None, message, &mut buffer) {
        Ok(len) => len,
        Err(error) => error.needed().unwrap_or(0),
    };
    len + own(&mut encoder, &mut buffer).unwrap_or(0)
}

fn own(encoder: &mut Encoder, buffer: &mut [u8]) -> Result<usize, EncodeError> {
    let mut scratch = [0; 256];
    let (relations, rest) = RelationOids::write([Oid(1)], &mut scratch)?;
    let (new, rest) = TupleWriter::new(rest).text(42).finish()?;
    let (_, rest) = Tuple::write([Column::Null], rest)?;
    let column = ColumnDef {
        key: true,
        name: "id",
        type_oid: Oid(23),
        typmod: -1,
    };
    let (columns, _) = ColumnDefs::write([column], rest)?;
    let mut sum = 0;
    for message in [
        Message::Relation(Relation {
            oid: Oid(1),
            namespace: "public",
            name: "t",
            identity: ReplicaIdentity::Default,
            columns,
        }),
        Message::Insert(Insert {
            relation: Oid(1),
            new,
        }),
        Message::Truncate(Truncate {
            cascade: false,
            restart_identity: false,
            relations,
        }),
    ] {
        sum += encoder.encode(None, &message, buffer)?;
    }
    let keepalive = Frame::Keepalive(Keepalive {
        wal_end: Lsn(1),
        sent_at: Timestamp(0),
        reply_requested: true,
    });
    Ok(sum + keepalive.encode(buffer)?)
}
