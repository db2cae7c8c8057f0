//! From the intent to the position: the ledger, and tables that are there already.

use super::*;

#[tokio::test]
async fn a_table_that_would_change_our_values_is_not_taken_over() {
    let folder = folder();
    let path = file(&folder);
    for (declared, says) in [
        ("id INTEGER", "has no column name"),
        (
            "id INTEGER, name NUMERIC",
            "declared NUMERIC, which changes values of type text",
        ),
        (
            "id REAL, name TEXT",
            "declared REAL, which changes values of type integer",
        ),
    ] {
        meddle(
            &path,
            &format!("DROP TABLE IF EXISTS t; CREATE TABLE t ({declared})"),
        );
        let mut destination = open(&path).await;
        destination.write_intent(&intent()).await.unwrap();
        let error = destination
            .create_table("s", &keyed(), Existing::Accept)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.exit_code(), 3);
    }
}

#[tokio::test]
async fn cascades_of_a_table_that_we_took_over_are_off() {
    let folder = folder();
    let path = file(&folder);
    meddle(
        &path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
         CREATE TABLE log (at INTEGER REFERENCES t ON DELETE CASCADE, what TEXT);
         INSERT INTO t VALUES (1, 'a'); INSERT INTO log VALUES (1, 'b')",
    );
    let (t, log) = (keyed(), keyless());
    let mut destination = open(&path).await;
    let row = destination.write_intent(&intent()).await.unwrap();
    for table in [&t, &log] {
        destination
            .create_table("s", table, Existing::Accept)
            .await
            .unwrap();
    }
    let row = destination.activate(&row).await.unwrap();
    // The source sends the rows of its own cascade.
    let batch = vec![delete(&t, &[int(1)]), delete(&log, &[int(1), text("b")])];
    apply(&mut destination, &row, 200, batch).await.unwrap();
}
