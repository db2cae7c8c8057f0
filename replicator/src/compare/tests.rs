//! Multisets, pairing by key, and what is said of them.

use super::*;
use crate::table::Column;
use walproto::Oid;

fn table(key: &[usize]) -> Table {
    Table {
        oid: Oid(1),
        schema: "shop".to_owned(),
        name: "orders".to_owned(),
        destination: "shop__orders".to_owned(),
        columns: vec![
            Column::new("id", Oid(23), -1, Oid(23)),
            Column::new("note", Oid(25), -1, Oid(25)),
        ],
        key: key.to_vec(),
        identity: 'd',
        relfilenode: 1,
    }
}

fn row(values: [&str; 2]) -> Row {
    values.iter().map(|text| Some((*text).to_owned())).collect()
}

/// What is left over on each side.
fn differing(source: &[Row], destination: &[Row]) -> (Vec<Row>, Vec<Row>) {
    let mut counts = Counts::default();
    source.iter().for_each(|row| counts.add(row, 1));
    destination.iter().for_each(|row| counts.add(row, -1));
    let left = |rows: &[Row], one| {
        let mut counts = counts.clone();
        rows.iter()
            .filter(|row| counts.take(row, one))
            .cloned()
            .collect()
    };
    (left(source, 1), left(destination, -1))
}

#[test]
fn the_order_of_rows_does_not_matter_and_their_number_does() {
    let [a, b] = [row(["1", "a"]), row(["2", "b"])];
    let sides = differing(&[a.clone(), b.clone()], &[b.clone(), a.clone()]);
    assert_eq!(sides, (vec![], vec![]));
    let sides = differing(
        &[a.clone(), a.clone(), b.clone()],
        &[b.clone(), b.clone(), a.clone()],
    );
    assert_eq!(sides, (vec![a], vec![b]));
}

#[test]
fn rows_are_paired_by_key_and_each_difference_has_its_place() {
    let missing = vec![row(["1", "a"]), row(["2", "b"])];
    let extra = vec![row(["3", "c"]), row(["1", "A'\n"])];
    let told: Vec<String> = describe(&table(&[0]), missing, extra)
        .iter()
        .map(Difference::to_string)
        .collect();
    assert_eq!(
        told,
        [
            "table shop.orders, row id='1', column note: 'a' at the source, 'A\\'\\n' at the destination",
            "table shop.orders: row id='2' is missing at the destination",
            "table shop.orders: row id='3' is only at the destination",
        ]
    );
}

#[test]
fn rows_without_a_key_are_not_paired() {
    let told = describe(&table(&[]), vec![row(["1", "a"])], vec![row(["1", "b"])]);
    let table = "shop.orders".to_owned();
    assert_eq!(
        told,
        [
            Difference::Missing {
                table: table.clone(),
                row: "id='1', note='a'".to_owned()
            },
            Difference::Extra {
                table,
                row: "id='1', note='b'".to_owned()
            },
        ]
    );
}

#[test]
fn a_value_that_we_never_store_differs_from_every_text() {
    let table = table(&[0]);
    let stored = text(&[Value::Text("x".to_owned()), Value::Null], &table);
    let told = stored[0].as_deref().unwrap();
    assert_eq!(told, "\0'x' is not how a integer is stored here");
    assert_eq!(stored[1], None);
}

#[test]
fn lines_of_copy_become_values() {
    assert_eq!(
        read(b"1\tb\\\\c\\td\n", &table(&[])).unwrap(),
        row(["1", "b\\c\td"])
    );
    assert_eq!(
        read(b"\\N\t\n", &table(&[])).unwrap(),
        [None, Some(String::new())]
    );
    assert!(
        read(b"1\n", &table(&[]))
            .unwrap_err()
            .to_string()
            .contains("another number of columns")
    );
    assert!(
        read(b"1\t\xFF\n", &table(&[]))
            .unwrap_err()
            .to_string()
            .contains("not UTF-8")
    );
}

#[test]
fn long_values_are_cut_between_characters() {
    let long = "ü".repeat(100);
    let shown = Quoted(Some(&long)).to_string();
    assert_eq!(shown.chars().filter(|&letter| letter == 'ü').count(), 60);
    assert!(shown.ends_with("…'"));
}
