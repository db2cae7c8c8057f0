//! Who walks the messages, and what each can do.

pub mod checked;
pub mod ours;
#[cfg(feature = "peers")]
pub mod peers;
pub mod unchecked;

use std::hint::black_box;

use crate::{Sum, Workload};

/// Something that reads all messages of a workload.
#[derive(Clone, Copy, Debug)]
pub struct Contestant {
    /// For the command line of `instructions`.
    pub key: &'static str,
    /// For the table.
    pub name: &'static str,
    /// What it is compared as.
    pub role: Role,
    /// Reads all messages once.
    pub run: fn(&Workload) -> Sum,
    /// Why it cannot read this workload, if it cannot.
    pub excuse: fn(&Workload) -> Option<&'static str>,
}

/// What a contestant is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads no fields; its sum is not one.
    Copy,
    /// A walk that no parser can beat by much.
    Limit,
    /// The walk that a safe parser is measured by.
    Floor,
    /// walproto, columns as bytes.
    Ours,
    /// walproto, text columns as checked `&str`.
    OursText,
    /// The closest peer, columns as bytes.
    Peer,
    /// The closest peer, text columns as checked `&str`.
    PeerText,
    /// Another published parser.
    Other,
}

/// Everyone who is compiled in, in the order of the table.
pub fn all() -> Vec<Contestant> {
    fn always(_: &Workload) -> Option<&'static str> {
        None
    }
    fn text(workload: &Workload) -> Option<&'static str> {
        workload.binary().then_some("no text in it")
    }
    #[allow(unused_mut, reason = "the peers are a feature")]
    let mut all = vec![
        Contestant {
            key: "memcpy",
            name: "memcpy of each message",
            role: Role::Copy,
            run: copy,
            excuse: always,
        },
        Contestant {
            key: "unchecked",
            name: "walk without checks",
            role: Role::Limit,
            run: unchecked::walk,
            excuse: always,
        },
        Contestant {
            key: "checked",
            name: "walk with checks (floor)",
            role: Role::Floor,
            run: |workload| checked::walk(workload).expect("captures are sound"),
            excuse: always,
        },
        Contestant {
            key: "walproto",
            name: "walproto",
            role: Role::Ours,
            run: ours::bytes,
            excuse: always,
        },
        Contestant {
            key: "walproto-str",
            name: "walproto, text as &str",
            role: Role::OursText,
            run: ours::text,
            excuse: text,
        },
    ];
    #[cfg(feature = "peers")]
    {
        fn version_1(workload: &Workload) -> Option<&'static str> {
            workload.streamed().then_some("knows protocol 1 only")
        }
        all.extend([
            Contestant {
                key: "pg_walstream",
                name: "pg_walstream 0.10",
                role: Role::Peer,
                run: peers::pg_walstream,
                excuse: always,
            },
            Contestant {
                key: "pg_walstream-str",
                name: "pg_walstream 0.10, text as &str",
                role: Role::PeerText,
                run: peers::pg_walstream_text,
                excuse: text,
            },
            Contestant {
                key: "elefant-client",
                name: "elefant-client 0.1 (always &str)",
                role: Role::Other,
                run: peers::elefant_client,
                excuse: version_1,
            },
            Contestant {
                key: "pgsync-postgres",
                name: "pgsync-postgres 0.1",
                role: Role::Other,
                run: peers::pgsync_postgres,
                excuse: version_1,
            },
        ]);
    }
    all
}

/// What it takes to read and write all bytes once.
#[inline(never)]
fn copy(workload: &Workload) -> Sum {
    thread_local! {
        static BUFFER: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        for message in workload.messages() {
            buffer.clear();
            buffer.extend_from_slice(message);
            black_box(buffer.as_slice());
        }
    });
    Sum::default()
}
