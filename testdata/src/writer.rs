//! Builds any message that a server or a client of logical replication can send, legal or broken.

/// Status update of a client, as it should be: walreceiver.c: XLogWalRcvSendReply.
pub fn status_update(
    written: u64,
    flushed: u64,
    applied: u64,
    sent_at: i64,
    reply: bool,
) -> Vec<u8> {
    let mut out = vec![b'r'];
    out.extend(written.to_be_bytes());
    out.extend(flushed.to_be_bytes());
    out.extend(applied.to_be_bytes());
    out.extend(sent_at.to_be_bytes());
    out.push(u8::from(reply));
    out
}
