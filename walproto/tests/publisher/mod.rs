//! A publisher that was made up: every kind of message, built from scratch.

use walproto::{
    Begin, BeginPrepare, Column, ColumnDef, ColumnDefs, Commit, CommitPrepared, Delete, Encoder,
    Frame, Insert, Keepalive, Logical, Lsn, Message, Oid, OldRow, Origin, Prepare, Relation,
    RelationOids, ReplicaIdentity, RollbackPrepared, StreamAbort, StreamCommit, StreamPrepare,
    StreamStart, Timestamp, Truncate, Tuple, TupleWriter, Type, Update, WalData, Xid,
};

const TABLE: Oid = Oid(77_777);

/// Writes messages at rising positions, each in a frame in CopyData.
pub(crate) struct Publisher {
    encoder: Encoder,
    /// How far it is.
    pub(crate) lsn: Lsn,
    /// What was not sent yet.
    pub(crate) out: Vec<u8>,
}

impl Publisher {
    pub(crate) fn new() -> Self {
        Self {
            encoder: Encoder::new(),
            lsn: Lsn(0x200_0000),
            out: Vec::new(),
        }
    }

    /// A position behind all before.
    fn next(&mut self) -> Lsn {
        self.lsn = Lsn(self.lsn.0 + 8);
        self.lsn
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let mut body = vec![0; frame.encoded_len().expect("a sound frame")];
        frame.encode(&mut body).expect("a sound frame");
        message(b'd', &body, &mut self.out);
    }

    fn send(&mut self, xid: Option<u32>, message: &Message<'_>) {
        let mut data = Vec::new();
        self.encoder
            .append(xid.map(Xid), message, &mut data)
            .unwrap_or_else(|error| panic!("{error}"));
        let position = self.next();
        self.frame(&Frame::WalData(WalData {
            start: position,
            end: position,
            sent_at: Timestamp(0),
            data: &data,
        }));
    }

    fn relation(&mut self, xid: Option<u32>) {
        let column = |key, name, oid| ColumnDef {
            key,
            name,
            type_oid: Oid(oid),
            typmod: -1,
        };
        let mut buffer = [0; 64];
        let columns = [column(true, "id", 23), column(false, "note", 25)];
        let (columns, _) = ColumnDefs::write(columns, &mut buffer).expect("two columns");
        self.send(
            xid,
            &Message::Relation(Relation {
                oid: TABLE,
                namespace: "public",
                name: "notes",
                identity: ReplicaIdentity::Default,
                columns,
            }),
        );
    }

    fn insert(&mut self, xid: Option<u32>, id: u32, note: &str) {
        let mut buffer = [0; 64];
        let (new, _) = TupleWriter::new(&mut buffer)
            .text(id)
            .column(Column::Text(note.as_bytes()))
            .finish()
            .expect("a row");
        self.send(
            xid,
            &Message::Insert(Insert {
                relation: TABLE,
                new,
            }),
        );
    }

    /// A transaction that is sent whole.
    fn transaction(&mut self, xid: u32, changes: impl FnOnce(&mut Self)) {
        let final_lsn = Lsn(self.lsn.0 + 4096);
        self.send(
            None,
            &Message::Begin(Begin {
                final_lsn,
                commit_time: Timestamp(1),
                xid: Xid(xid),
            }),
        );
        changes(self);
        self.lsn = Lsn(final_lsn.0 + 8);
        let end_lsn = self.lsn;
        self.send(
            None,
            &Message::Commit(Commit {
                commit_lsn: final_lsn,
                end_lsn,
                commit_time: Timestamp(1),
            }),
        );
    }

    /// A transaction that is prepared; gives the end of the prepare.
    fn prepared(&mut self, xid: u32, gid: &str, changes: impl FnOnce(&mut Self)) -> Lsn {
        let (prepare_lsn, end_lsn) = (Lsn(self.lsn.0 + 4096), Lsn(self.lsn.0 + 4104));
        let (prepare_time, xid) = (Timestamp(1), Xid(xid));
        self.send(
            None,
            &Message::BeginPrepare(BeginPrepare {
                prepare_lsn,
                end_lsn,
                prepare_time,
                xid,
                gid,
            }),
        );
        changes(self);
        self.lsn = end_lsn;
        self.send(
            None,
            &Message::Prepare(Prepare {
                prepare_lsn,
                end_lsn,
                prepare_time,
                xid,
                gid,
            }),
        );
        end_lsn
    }

    fn commit_prepared(&mut self, xid: u32, gid: &str) {
        let (commit_lsn, end_lsn) = (self.next(), self.next());
        self.send(
            None,
            &Message::CommitPrepared(CommitPrepared {
                commit_lsn,
                end_lsn,
                commit_time: Timestamp(1),
                xid: Xid(xid),
                gid,
            }),
        );
    }

    fn block(&mut self, xid: u32, first_segment: bool, changes: impl FnOnce(&mut Self)) {
        let xid = Xid(xid);
        self.send(
            None,
            &Message::StreamStart(StreamStart { xid, first_segment }),
        );
        changes(self);
        self.send(None, &Message::StreamStop);
    }

    fn abort(&mut self, xid: u32, subxid: u32) {
        let abort = StreamAbort {
            xid: Xid(xid),
            subxid: Xid(subxid),
            abort: None,
        };
        self.send(None, &Message::StreamAbort(abort));
    }

    /// Every kind of message; what is left of it all is in the test.
    pub(crate) fn everything(&mut self) {
        self.transaction(700, |p| {
            p.send(
                None,
                &Message::Origin(Origin {
                    commit_lsn: Lsn(5),
                    name: "elsewhere",
                }),
            );
            let r#type = Type {
                oid: Oid(88_888),
                namespace: "public",
                name: "mood",
            };
            p.send(None, &Message::Type(r#type));
            p.relation(None);
            for (id, note) in [(1, "one"), (2, "two"), (3, "three"), (4, "four")] {
                p.insert(None, id, note);
            }
            p.send(
                None,
                &Message::Logical(Logical {
                    transactional: true,
                    lsn: Lsn(9),
                    prefix: "p",
                    content: b"\0",
                }),
            );
        });
        self.transaction(701, |p| {
            let mut buffer = [0; 64];
            // One keeps its note, which is as if it were TOASTed, and gets another key.
            let (old, rest) =
                Tuple::write([Column::Text(b"1"), Column::Null], &mut buffer).expect("a key");
            let (new, _) =
                Tuple::write([Column::Text(b"10"), Column::Unchanged], rest).expect("a row");
            p.send(
                None,
                &Message::Update(Update {
                    relation: TABLE,
                    old: Some(OldRow::Key(old)),
                    new,
                }),
            );
            let (new, _) =
                Tuple::write([Column::Text(b"2"), Column::Null], &mut buffer).expect("a row");
            p.send(
                None,
                &Message::Update(Update {
                    relation: TABLE,
                    old: None,
                    new,
                }),
            );
            let (old, _) =
                Tuple::write([Column::Text(b"3"), Column::Null], &mut buffer).expect("a key");
            p.send(
                None,
                &Message::Delete(Delete {
                    relation: TABLE,
                    old: OldRow::Key(old),
                }),
            );
        });
        self.block(710, true, |p| {
            p.relation(Some(710));
            p.insert(Some(710), 20, "streamed");
            p.insert(Some(711), 21, "undone");
        });
        self.block(720, true, |p| p.insert(Some(720), 22, "all undone"));
        self.abort(710, 711);
        self.block(710, false, |p| p.insert(Some(712), 23, "streamed too"));
        self.abort(720, 720);
        let (commit_lsn, end_lsn) = (self.next(), self.next());
        self.send(
            None,
            &Message::StreamCommit(StreamCommit {
                xid: Xid(710),
                commit_lsn,
                end_lsn,
                commit_time: Timestamp(1),
            }),
        );
        self.prepared(730, "kept", |p| p.insert(None, 30, "prepared"));
        self.commit_prepared(730, "kept");
        let prepare_end_lsn = self.prepared(731, "lost", |p| p.insert(None, 31, "rolled back"));
        let rollback_end_lsn = self.next();
        self.send(
            None,
            &Message::RollbackPrepared(RollbackPrepared {
                prepare_end_lsn,
                rollback_end_lsn,
                prepare_time: Timestamp(1),
                rollback_time: Timestamp(2),
                xid: Xid(731),
                gid: "lost",
            }),
        );
        self.block(740, true, |p| p.insert(Some(740), 32, "streamed, prepared"));
        let (prepare_lsn, end_lsn) = (self.next(), self.next());
        self.send(
            None,
            &Message::StreamPrepare(StreamPrepare {
                prepare_lsn,
                end_lsn,
                prepare_time: Timestamp(1),
                xid: Xid(740),
                gid: "large",
            }),
        );
        self.commit_prepared(740, "large");
        self.transaction(750, |p| {
            let column = ColumnDef {
                key: true,
                name: "id",
                type_oid: Oid(23),
                typmod: -1,
            };
            let mut buffer = [0; 64];
            let (columns, rest) = ColumnDefs::write([column], &mut buffer).expect("a column");
            p.send(
                None,
                &Message::Relation(Relation {
                    oid: Oid(77_778),
                    namespace: "public",
                    name: "emptied",
                    identity: ReplicaIdentity::Full,
                    columns,
                }),
            );
            let (relations, _) = RelationOids::write([Oid(77_778)], rest).expect("an oid");
            p.send(
                None,
                &Message::Truncate(Truncate {
                    cascade: false,
                    restart_identity: false,
                    relations,
                }),
            );
        });
        let keepalive = Keepalive {
            wal_end: self.lsn,
            sent_at: Timestamp(0),
            reply_requested: true,
        };
        self.frame(&Frame::Keepalive(keepalive));
    }
}

/// Appends a message of PostgreSQL's frontend/backend protocol.
pub(crate) fn message(tag: u8, body: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(body.len() + 4).expect("short");
    out.push(tag);
    out.extend(length.to_be_bytes());
    out.extend_from_slice(body);
}
