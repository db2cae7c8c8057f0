//! Negative zero, which some servers tell from zero and some do not.

use replicator::{Destination, OnMisfit};

use crate::Stage;
use crate::every_destination::{chunk, everything, named};

/// What becomes of rows with a zero of each sign, in the first copy; or why they are refused.
async fn copied(on_misfit: OnMisfit) -> Result<Vec<String>, String> {
    let stage = Stage::new();
    let table = named(1, "t", &[("id", 23), ("v", 701)], &[0]);
    let (mut destination, row) = stage.copying(&table, on_misfit).await;
    let rows = chunk(&table, 1, 1, &["1\t-0", "2\t0", "3\t-1"]);
    if let Err(error) = destination.copy(&row, rows).await {
        assert_eq!(error.exit_code(), 3, "{error}");
        return Err(error.to_string());
    }
    let kind = table.columns[1].kind;
    let rows = everything(&mut destination, &table).await;
    let texts = rows.iter().map(|row| row[1].to_text(kind).unwrap());
    Ok(texts.map(Option::unwrap).collect())
}

#[tokio::test]
async fn it_stays_what_it_is_or_is_refused() {
    // Stored and read, and not asked for as a destination does.
    let mut db = Stage::new().connect();
    db.batch("CREATE TABLE zeroes (z double); INSERT INTO zeroes VALUES (-0e0)")
        .unwrap();
    let keeps = db
        .value("SELECT ATAN(z, -1) < 0 AND CONCAT(z) = '-0' FROM zeroes")
        .unwrap()
        == "1";

    let exact = Ok(["-0", "0", "-1"].map(str::to_owned).to_vec());
    assert_eq!(copied(OnMisfit::Text).await, exact);
    let (failed, clamped) = (copied(OnMisfit::Fail).await, copied(OnMisfit::Clamp).await);
    if keeps {
        assert_eq!(failed, exact);
        assert_eq!(clamped, exact);
    } else {
        let why = failed.unwrap_err();
        for word in ["table public.t, column v", "'-0'", "DOUBLE of this server"] {
            assert!(why.contains(word), "no {word:?}: {why}");
        }
        assert_eq!(clamped, Ok(["0", "0", "-1"].map(str::to_owned).to_vec()));
    }
}
