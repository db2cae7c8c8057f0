//! Many changes of few rows: what they come to is what is stored, and nothing that could tell is left out.

use super::*;

const MANY: i64 = 1000;

/// Rows that come, change often and go, each in its own way.
fn changes(t: &Arc<Table>) -> Vec<Operation> {
    let mut all: Vec<_> = (1..=6)
        .map(|id| insert(t, &[int(id), text("new")]))
        .collect();
    for round in 0..MANY {
        let name = text(&format!("round {round}"));
        all.push(update(t, &[(1, name.clone())], &[int(1 + round % 3)]));
        all.push(delete(t, &[int(4)]));
        all.push(insert(t, &[int(4), name]));
    }
    all.push(delete(t, &[int(5)]));
    all.push(update(t, &[(0, int(5))], &[int(6)]));
    all.push(update(t, &[(1, text("moved"))], &[int(5)]));
    all
}

const SEEN: &str = "SELECT id, name FROM t ORDER BY id";
const EXPECTED: [&str; 5] = [
    "1|round 999",
    "2|round 997",
    "3|round 998",
    "4|round 999",
    "5|moved",
];

#[tokio::test]
async fn many_changes_of_a_row_leave_what_the_last_of_them_says() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    apply(&mut destination, &row, 0x110, changes(&t))
        .await
        .unwrap();
    assert_eq!(look(&path, SEEN), EXPECTED);
}

#[tokio::test]
async fn a_trigger_sees_every_change() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    meddle(
        &path,
        "CREATE TABLE seen (n);
         CREATE TRIGGER sees AFTER UPDATE ON t BEGIN INSERT INTO seen VALUES (1); END",
    );
    apply(&mut destination, &row, 0x110, changes(&t))
        .await
        .unwrap();
    assert_eq!(look(&path, SEEN), EXPECTED);
    let updates = (MANY + 2).to_string();
    assert_eq!(look(&path, "SELECT count(*) FROM seen"), [updates]);
}

#[tokio::test]
async fn a_conflict_is_named_as_if_each_change_came_alone() {
    let folder = folder();
    let path = file(&folder);
    let t = keyed();
    let (mut destination, row) = streaming(&path, &[&t]).await;
    let mut operations = changes(&t);
    // The row is gone since long; what follows would make a fold of it an update.
    operations.push(delete(&t, &[int(6)]));
    operations.push(insert(&t, &[int(6), text("again")]));
    let error = apply(&mut destination, &row, 0x110, operations)
        .await
        .unwrap_err();
    let message = error.to_string();
    assert!(message.contains("delete"), "{message}");
    assert!(message.contains("id = 6"), "{message}");
    assert_eq!(look(&path, SEEN), [""; 0]);
}
