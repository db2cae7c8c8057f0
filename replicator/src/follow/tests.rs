use super::*;
use crate::table;
use walstream::RelationColumn;
use walstream::walproto::{Column, ReplicaIdentity, Tuple};

fn table(columns: usize) -> Table {
    let column = |at| table::Column::new(format!("c{at}"), Oid(23), -1, Oid(23));
    Table {
        oid: Oid(7),
        schema: "public".to_owned(),
        name: "t".to_owned(),
        destination: "t".to_owned(),
        columns: (0..columns).map(column).collect(),
        key: vec![0],
        identity: 'd',
        relfilenode: 1,
    }
}

fn relation(columns: usize) -> Arc<Relation> {
    let column = |at| RelationColumn {
        name: format!("c{at}"),
        type_oid: Oid(23),
        typmod: -1,
        key: at == 0,
    };
    Arc::new(Relation {
        oid: Oid(7),
        namespace: "public".to_owned(),
        name: "t".to_owned(),
        identity: ReplicaIdentity::Default,
        columns: (0..columns).map(column).collect(),
    })
}

fn tables(from: u64) -> Tables {
    let row = TableRow {
        table: table(2),
        made_by_us: true,
        state: TableState::Streaming,
        sync_position: Some(Lsn(from)),
    };
    Tables::new([row])
}

fn width(tables: &Followed, lsn: u64) -> Result<usize> {
    let found = tables.find(&relation(2), Lsn(lsn))?;
    Ok(found.map_or(0, |one| one.table.columns.len()))
}

fn differs(tables: &Followed, lsn: u64, columns: usize) -> bool {
    let relation = relation(columns);
    let change = Change::Relation(&relation);
    tables.follow(Lsn(lsn), &change, |_| {}).unwrap().is_some()
}

#[test]
fn what_changed_in_a_batch_goes_with_it() {
    let mut writer = tables(0);
    assert!(differs(&writer.now(), 5, 3));
    writer.change(&Arc::new(table(3)));
    writer.change(&Arc::new(table(4)));
    assert!(!differs(&writer.now(), 5, 4));
    writer.begin();
    assert_eq!(
        width(&writer.now(), 5).unwrap(),
        2,
        "as before the first of both"
    );
    writer.change(&Arc::new(table(3)));
    writer.reached(Lsn(9));
    writer.begin();
    assert_eq!(width(&writer.now(), 9).unwrap(), 3, "it is in");
}

#[test]
fn what_is_built_ahead_waits_until_the_writer_is_past_the_change() {
    let mut writer = tables(0);
    let mut ahead = writer.ahead();
    ahead.note(Lsn(10), &relation(2));
    assert_eq!(width(&ahead.now(), 10).unwrap(), 2, "nothing changed");
    ahead.note(Lsn(20), &relation(3));
    assert!(width(&ahead.now(), 30).is_err());
    // A second change before the writer came to the first.
    ahead.note(Lsn(40), &relation(4));
    writer.change(&Arc::new(table(3)));
    writer.reached(Lsn(25));
    assert!(width(&ahead.now(), 50).is_err(), "the writer is before 40");
    writer.change(&Arc::new(table(4)));
    writer.reached(Lsn(41));
    assert_eq!(width(&ahead.now(), 50).unwrap(), 4);
}

#[test]
fn what_changes_there_and_back_again_waits_for_the_way_back() {
    let mut writer = tables(0);
    let mut ahead = writer.ahead();
    ahead.note(Lsn(20), &relation(3));
    ahead.note(Lsn(40), &relation(2));
    writer.change(&Arc::new(table(3)));
    writer.reached(Lsn(25));
    assert!(width(&ahead.now(), 50).is_err());
    writer.change(&Arc::new(table(2)));
    writer.reached(Lsn(41));
    assert_eq!(width(&ahead.now(), 50).unwrap(), 2);
}

#[test]
fn what_a_copy_holds_already_is_no_change() {
    let tables = tables(50);
    let mut ahead = tables.ahead();
    assert!(!differs(&tables.now(), 49, 3));
    ahead.note(Lsn(49), &relation(3));
    assert_eq!(width(&ahead.now(), 50).unwrap(), 2);
    assert!(differs(&tables.now(), 50, 3));
}

#[test]
fn of_a_table_that_is_copied_every_change_is_compared() {
    let mut writer = tables(50);
    let mut ahead = writer.ahead();
    writer.stop(Oid(7));
    assert_eq!(width(&ahead.now(), 60).unwrap(), 0, "stopped");
    writer.put(Arc::new(table(3)));
    let (old, new) = (relation(2), relation(3));
    let mut buffer = [0; 32];
    let (row, _) = Tuple::write([Column::Text(b"1"); 3], &mut buffer).unwrap();
    let read = |tables: &Followed, relation: &Arc<Relation>, lsn: u64| {
        let change = Change::Insert { relation, new: row };
        let mut taken = 0;
        let differing = tables.follow(Lsn(lsn), &change, |_| taken += 1);
        (differing.unwrap().is_some(), taken)
    };
    // Its rows come as it was when it was stopped, for a while.
    for tables in [writer.now(), ahead.now()] {
        assert_eq!(read(&tables, &old, 10), (true, 0));
        assert_eq!(read(&tables, &new, 10), (false, 1));
    }
    writer.joined(Oid(7));
    assert_eq!(width(&ahead.now(), 60).unwrap(), 3);
    assert_eq!(
        read(&ahead.now(), &old, 60),
        (false, 1),
        "only what is announced is compared"
    );
}

#[test]
fn what_is_put_while_a_batch_is_open_stays_whatever_becomes_of_the_batch() {
    let mut writer = tables(0);
    writer.change(&Arc::new(table(3)));
    writer.put(Arc::new(table(4)));
    assert_eq!(width(&writer.now(), 5).unwrap(), 4);
    writer.begin();
    assert_eq!(width(&writer.now(), 5).unwrap(), 4);
}
