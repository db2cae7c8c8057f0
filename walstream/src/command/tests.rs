//! The text of commands, compared with what servers read.

use super::*;
use crate::error::ErrorKind;

const V14: ServerVersion = ServerVersion(140_023);
const V15: ServerVersion = ServerVersion(150_018);
const V16: ServerVersion = ServerVersion(160_014);
const V17: ServerVersion = ServerVersion(170_010);
const V18: ServerVersion = ServerVersion(180_004);

fn start(
    change: impl FnOnce(&mut StreamOptions),
    version: ServerVersion,
) -> Result<String, ErrorKind> {
    let mut options = StreamOptions::new("s", ["p"]);
    change(&mut options);
    start_replication(&options, Lsn(0x16_B374_D848), version).map_err(|error| error.kind())
}

#[test]
fn asks_for_the_highest_protocol_that_the_server_speaks() {
    for (version, protocol) in [(V14, 2), (V15, 3), (V16, 4), (V17, 4)] {
        assert_eq!(
            start(|_| {}, version).unwrap(),
            format!(
                r#"START_REPLICATION SLOT "s" LOGICAL 16/B374D848 (proto_version '{protocol}', publication_names '"p"', streaming 'on')"#
            )
        );
    }
}

#[test]
fn every_option_is_spelled_as_the_server_reads_it() {
    let all = |options: &mut StreamOptions| {
        options.streaming = Streaming::Parallel;
        (
            options.binary,
            options.messages,
            options.origin_none,
            options.two_phase,
        ) = (true, true, true, true);
    };
    assert_eq!(
        start(all, V16).unwrap(),
        r#"START_REPLICATION SLOT "s" LOGICAL 16/B374D848 (proto_version '4', publication_names '"p"', streaming 'parallel', binary 'true', messages 'true', origin 'none', two_phase 'true')"#
    );
    let v1 = |options: &mut StreamOptions| {
        (options.protocol, options.streaming) = (Some(1), Streaming::Off)
    };
    assert_eq!(
        start(v1, V14).unwrap(),
        r#"START_REPLICATION SLOT "s" LOGICAL 16/B374D848 (proto_version '1', publication_names '"p"')"#
    );
}

#[test]
fn hostile_names_stay_names() {
    let hostile = |options: &mut StreamOptions| {
        options.slot = r#"x"; DROP TABLE y; --"#.into();
        options.publications = vec![
            "a,b".into(),
            r"it's \'".into(),
            r#"x"; --"#.into(),
            "MixedCase".into(),
        ];
    };
    assert_eq!(
        start(hostile, V16).unwrap(),
        r#"START_REPLICATION SLOT "x""; DROP TABLE y; --" LOGICAL 16/B374D848 (proto_version '4', publication_names '"a,b","it''s \''","x""; --","MixedCase"', streaming 'on')"#
    );
    assert_eq!(
        drop_slot(r#"a"b"#, true),
        r#"DROP_REPLICATION_SLOT "a""b" WAIT"#
    );
    assert_eq!(quote_literal(r"it's"), "'it''s'");
    assert_eq!(quote_literal(r"\'; --"), r" E'\\''; --'");
}

#[test]
fn refuses_what_the_version_or_the_protocol_does_not_have() {
    use ErrorKind::{Config, Unsupported};
    type Change = fn(&mut StreamOptions);
    let cases: [(Change, ServerVersion, ErrorKind); 9] = [
        (|o| o.protocol = Some(0), V16, Config),
        (|o| o.protocol = Some(5), V17, Unsupported),
        (|o| o.protocol = Some(3), V14, Unsupported),
        (|o| o.protocol = Some(1), V16, Config),
        (|o| o.streaming = Streaming::Parallel, V15, Unsupported),
        (
            |o| (o.streaming, o.protocol) = (Streaming::Parallel, Some(3)),
            V16,
            Config,
        ),
        (|o| o.two_phase = true, V14, Unsupported),
        (|o| o.origin_none = true, V15, Unsupported),
        (|o| o.publications.clear(), V16, Config),
    ];
    for (at, (change, version, kind)) in cases.into_iter().enumerate() {
        assert_eq!(start(change, version), Err(kind), "case {at}");
    }
}

#[test]
fn a_slot_is_made_in_the_form_of_the_version() {
    let options = |snapshot| SlotOptions {
        snapshot,
        ..SlotOptions::default()
    };
    let text = |options, version| create_slot("s", &options, version).map_err(|error| error.kind());
    for (snapshot, old, new) in [
        (
            Snapshot::Nothing,
            "NOEXPORT_SNAPSHOT",
            "(SNAPSHOT 'nothing')",
        ),
        (Snapshot::Export, "EXPORT_SNAPSHOT", "(SNAPSHOT 'export')"),
        (Snapshot::Use, "USE_SNAPSHOT", "(SNAPSHOT 'use')"),
    ] {
        assert_eq!(
            text(options(snapshot), V14).unwrap(),
            format!(r#"CREATE_REPLICATION_SLOT "s" LOGICAL pgoutput {old}"#)
        );
        assert_eq!(
            text(options(snapshot), V15).unwrap(),
            format!(r#"CREATE_REPLICATION_SLOT "s" LOGICAL pgoutput {new}"#)
        );
    }
    let all = SlotOptions {
        temporary: true,
        snapshot: Snapshot::Nothing,
        two_phase: true,
        failover: true,
    };
    assert_eq!(
        text(all, V17).unwrap(),
        r#"CREATE_REPLICATION_SLOT "s" TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing', TWO_PHASE true, FAILOVER true)"#
    );
    assert_eq!(text(all, V16), Err(ErrorKind::Unsupported));
    assert_eq!(
        text(
            SlotOptions {
                two_phase: true,
                ..SlotOptions::default()
            },
            V14
        ),
        Err(ErrorKind::Unsupported)
    );
}

#[test]
fn a_slot_is_altered_where_the_version_can() {
    let text = |failover, two_phase, version| {
        let changes = AlterSlot {
            failover,
            two_phase,
        };
        alter_slot("s", &changes, version).map_err(|error| error.kind())
    };
    assert_eq!(
        text(Some(true), Some(false), V18).unwrap(),
        r#"ALTER_REPLICATION_SLOT "s" (FAILOVER true, TWO_PHASE false)"#
    );
    assert_eq!(
        text(Some(false), None, V17).unwrap(),
        r#"ALTER_REPLICATION_SLOT "s" (FAILOVER false)"#
    );
    assert_eq!(text(Some(true), None, V16), Err(ErrorKind::Unsupported));
    assert_eq!(text(None, Some(true), V17), Err(ErrorKind::Unsupported));
    assert_eq!(text(None, None, V18), Err(ErrorKind::Config));
}

#[test]
fn a_setting_is_shown_by_its_parts() {
    assert_eq!(show("wal_level"), r#"SHOW "wal_level""#);
    assert_eq!(show(r#"a.b";"#), r#"SHOW "a"."b"";""#);
}
