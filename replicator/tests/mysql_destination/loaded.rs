//! Rows of a copy that are loaded as a file, and that are inserted where the server takes none.

use std::sync::Arc;

use replicator::{Destination, OnMisfit, Table};
use testdata::MariaDb;
use walproto::{Lsn, Oid};

use crate::Stage;
use crate::every_destination::{Ground, chunk, everything, keyed, named, streaming};

/// Types that have one of their own here, and texts that are escaped.
const COLUMNS: &[(&str, u32)] = &[
    ("id", 23),
    ("is", 16),
    ("big", 20),
    ("double", 701),
    ("single", 700),
    ("bytes", 17),
    ("day", 1082),
    ("time", 1083),
    ("at", 1114),
    ("here", 1184),
    ("text", 25),
    ("price", 1700),
];

const LINES: &[&str] = &[
    "1\tt\t-9223372036854775808\t-0.125\t0.1\t\\\\x00ff5c0a\t0001-01-01\t24:00:00\t9999-12-31 23:59:59.999999\t2026-01-01 00:00:00.5+00\ta\\\\N\\tb\\nc\\rd\\be\\ff\\vg\\\\\t0.10",
    "2\tf\t9223372036854775807\t5e-324\t3.4028235e+38\t\\\\x\t9999-12-31\t00:00:00.000001\t0001-01-01 00:00:00\t1999-12-31 23:59:59+00\t\t-99999999.99",
    "3\tt\t0\t1.7976931348623157e+308\t1e-45\t\\N\t\\N\t\\N\t\\N\t\\N\t\\\\N\t\\N",
    "4\t\\N\t\\N\t0.30000000000000004\t\\N\t\\\\x27\t2024-02-29\t12:00:00\t2024-02-29 12:00:00\t2024-02-29 12:00:00+00\t\\N\t0.00",
    "5\tf\t1\t-1e+15\t1.6777216e+07\t\\\\xc3\t1970-01-01\t00:00:00\t1970-01-01 00:00:00\t1970-01-01 00:00:00+00\t \u{10FFFF}'\"\u{1a} \t1.00",
    // Nothing but a text that is escaped keeps this one from being taken as it is.
    "6\tf\t1\t1\t1\t\\N\t\\N\t\\N\t\\N\t\\N\ta\\fb\\vc\\bd\t1.00",
    // These are.
    "7\tt\t-7\t1.5\t2\t\\N\t2024-02-29\t12:00:00\t2024-02-29 12:00:00\t2024-02-29 12:00:00+00\tas it is\t-1.00",
    "8\tf\t0\t-2\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\t\\N",
];

fn table() -> Arc<Table> {
    let mut table = Table::clone(&named(1, "t", COLUMNS, &[0]));
    // numeric(10, 2)
    let price = table.columns.last_mut().unwrap();
    assert_eq!(price.type_oid, Oid(1700));
    price.typmod = (10 << 16 | 2) + 4;
    Arc::new(table)
}

fn on(local_infile: &str) -> Stage {
    let server = MariaDb::builder().setting("local_infile", local_infile);
    Stage::on(Arc::new(server.start()))
}

/// How many statements of a kind there were.
fn count(stage: &Stage, kind: &str) -> u64 {
    let status = stage.look(&format!("SHOW GLOBAL STATUS LIKE 'Com_{kind}'"));
    status[0].rsplit('|').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn what_is_loaded_is_what_is_inserted() {
    let mut seen = Vec::new();
    for local_infile in ["ON", "OFF"] {
        let stage = on(local_infile);
        let table = table();
        let (mut destination, row) = stage.copying(&table, OnMisfit::Fail).await;
        destination
            .copy(&row, chunk(&table, 1, 1, LINES))
            .await
            .unwrap();
        assert_eq!(count(&stage, "load"), u64::from(local_infile == "ON"));
        // What was loaded stayed.
        assert_eq!(count(&stage, "rollback_to_savepoint"), 0);
        seen.push(everything(&mut destination, &table).await);
    }
    assert_eq!(seen[0], seen[1]);
    let table = table();
    let columns = &table.columns;
    let back: Vec<String> = seen[0]
        .iter()
        .map(|row| {
            let texts = row.iter().zip(columns);
            let texts = texts.map(|(value, column)| value.to_text(column.kind).unwrap());
            texts
                .map(|text| text.unwrap_or_else(|| "NULL".to_owned()))
                .collect::<Vec<_>>()
                .join("|")
        })
        .collect();
    let wanted = [
        "1|t|-9223372036854775808|-0.125|0.1|\\x00ff5c0a|0001-01-01|24:00:00|9999-12-31 23:59:59.999999|2026-01-01 00:00:00.5+00|a\\N\tb\nc\rd\u{8}e\u{c}f\u{b}g\\|0.10",
        "2|f|9223372036854775807|5e-324|3.4028235e+38|\\x|9999-12-31|00:00:00.000001|0001-01-01 00:00:00|1999-12-31 23:59:59+00||-99999999.99",
        "3|t|0|1.7976931348623157e+308|1e-45|NULL|NULL|NULL|NULL|NULL|\\N|NULL",
        "4|NULL|NULL|0.30000000000000004|NULL|\\x27|2024-02-29|12:00:00|2024-02-29 12:00:00|2024-02-29 12:00:00+00|NULL|0.00",
        "5|f|1|-1e+15|1.6777216e+07|\\xc3|1970-01-01|00:00:00|1970-01-01 00:00:00|1970-01-01 00:00:00+00| \u{10FFFF}'\"\u{1a} |1.00",
        "6|f|1|1|1|NULL|NULL|NULL|NULL|NULL|a\u{c}b\u{b}c\u{8}d|1.00",
        "7|t|-7|1.5|2|NULL|2024-02-29|12:00:00|2024-02-29 12:00:00|2024-02-29 12:00:00+00|as it is|-1.00",
        "8|f|0|-2|NULL|NULL|NULL|NULL|NULL|NULL||NULL",
    ];
    assert_eq!(back, wanted);
}

#[tokio::test]
async fn what_a_load_would_leave_out_or_change_is_refused_with_its_reason() {
    let stage = on("ON");
    let t = keyed();
    let (mut destination, row) = streaming(&stage, &[&t]).await;
    destination.begin_copy(&row, &t, Lsn(100)).await.unwrap();
    destination
        .copy(&row, chunk(&t, 1, 1, &["1\ta"]))
        .await
        .unwrap();
    let before = count(&stage, "load");
    let twice = chunk(&t, 1, 2, &["2\tb", "1\ttwice"]);
    let error = destination.copy(&row, twice).await.unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), 3, "{text}");
    assert!(
        text.contains("public.t") && text.contains("Duplicate"),
        "{text}"
    );
    stage.meddle("ALTER TABLE t ADD CONSTRAINT short CHECK (length(name) < 3)");
    let long = chunk(&t, 1, 2, &["2\tb", "3\tlong"]);
    let error = destination.copy(&row, long).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("public.t") && text.contains("short"),
        "{text}"
    );
    // Of what is too long a load would keep the beginning, and say so with a warning.
    stage.meddle("ALTER TABLE t DROP CONSTRAINT short, MODIFY name VARCHAR(3)");
    let long = chunk(&t, 1, 2, &["3\tlong"]);
    let error = destination.copy(&row, long).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("public.t") && text.contains("name"), "{text}");
    assert_eq!(count(&stage, "load"), before + 3);
    assert_eq!(stage.look("SELECT * FROM t"), ["1|a"]);
}
