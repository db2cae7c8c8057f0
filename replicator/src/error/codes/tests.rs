use std::fmt::Write as _;

use super::{Course, Product, mysql, postgres, says_farewell, sqlite, sqlserver};
use crate::error::ErrorKind;

/// All courses, in the order of the documentation.
const ALL: [Course; 18] = [
    Course::Lock,
    Course::Room,
    Course::Again,
    Course::Primary,
    Course::Login,
    Course::Database,
    Course::Firewall,
    Course::Rights,
    Course::Encryption,
    Course::File,
    Course::NoDatabase,
    Course::Damaged,
    Course::Definition,
    Course::Row,
    Course::Packet,
    Course::Infinite,
    Course::TooBig,
    Course::Person,
];

/// A code as people write it, and what is done about it.
type Listed = Vec<(String, Course)>;

fn listed(product: Product) -> Listed {
    let span = |first: u32, last: u32| match (first, last) {
        (first, last) if first == last => first.to_string(),
        (first, u32::MAX) => format!("{first} and more"),
        (first, last) => format!("{first} to {last}"),
    };
    match product {
        Product::Postgres => {
            let rows = postgres::TABLE.iter();
            let name = |code: &str| match code.len() {
                2 => format!("class {code}"),
                _ => code.to_owned(),
            };
            let mut all: Listed = rows.map(|(code, course)| (name(code), *course)).collect();
            all.push(("any other class".to_owned(), postgres::OTHERS));
            all
        }
        Product::Mysql => {
            let rows = mysql::TABLE.iter();
            let mut all: Listed = rows
                .map(|(it, course)| (span((*it.start()).into(), (*it.end()).into()), *course))
                .collect();
            let classes = mysql::CLASSES.iter();
            all.extend(classes.map(|(class, course)| (format!("SQLSTATE class {class}"), *course)));
            all.push(("any other".to_owned(), Course::Person));
            all
        }
        Product::SqlServer => {
            let rows = sqlserver::TABLE.iter();
            let mut all: Listed = rows
                .map(|(it, course)| (span(*it.start(), *it.end()), *course))
                .collect();
            let words = sqlserver::WORDS.iter().map(|(begin, end, course)| {
                let said = [*begin, "…", *end].map(str::trim).join(" ");
                (format!("Babelfish \"{}\"", said.trim()), *course)
            });
            all.extend(words);
            let others = format!("any other of Babelfish's {}", sqlserver::UNMAPPED);
            all.push((others, Course::Person));
            let fatal = format!("any other of severity {} and more", sqlserver::FATAL);
            all.push((fatal, Course::Again));
            all.push(("any other".to_owned(), Course::Person));
            all
        }
        Product::Sqlite => {
            let rows = sqlite::TABLE.iter();
            let mut all: Listed = rows
                .map(|(code, _, course)| (format!("{code:?}"), *course))
                .collect();
            all.push(("any other".to_owned(), Course::Person));
            all
        }
    }
}

const PRODUCTS: [(Product, &str); 4] = [
    (Product::Postgres, "PostgreSQL: SQLSTATE"),
    (Product::Mysql, "MySQL and MariaDB: error number"),
    (Product::SqlServer, "SQL Server: error number"),
    (Product::Sqlite, "SQLite: result code"),
];

fn documentation() -> String {
    let mut out = String::from(
        "# Error codes of destinations, and what is done about them\n\n\
         A whole code counts before its class, and the first that fits. Exit code 1 is tried again by a run itself, for as\n\
         long as `--destination-retry` says; 2 and 3 end it at once. What is *of a row* may be left out with `--quarantine`.\n\
         The codes of a source's server stand in the documentation of `walstream::ErrorKind`.\n",
    );
    for (product, title) in PRODUCTS {
        let _ = write!(
            out,
            "\n## {title}\n\n| code | exit code | of a row | what to do |\n|---|---|---|---|\n"
        );
        let codes = listed(product);
        for course in ALL {
            let codes: Vec<&str> = codes
                .iter()
                .filter(|(_, it)| *it == course)
                .map(|(code, _)| &**code)
                .collect();
            if codes.is_empty() {
                continue;
            }
            let exit = course.error(product, "").exit_code();
            let row = if course.is_of_the_row() { "yes" } else { "" };
            let hint = course.hint(product).unwrap_or("see its own words");
            let _ = writeln!(out, "| {} | {exit} | {row} | {hint} |", codes.join(", "));
        }
    }
    out
}

/// `BLESS=1` writes it anew.
#[test]
fn the_documentation_says_what_the_tables_do() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
    let wanted = documentation();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(there, wanted, "BLESS=1 writes {path}");
}

#[test]
fn what_is_worth_another_try_and_what_is_not() {
    use ErrorKind::{Person, Retry, Usage};
    let postgres = [
        // A full disk, a deadlock, a restart, a lock, a file of the system, out of memory, idle for too long.
        ("53100", Retry),
        ("40P01", Retry),
        ("57P01", Retry),
        ("55P03", Retry),
        ("58030", Retry),
        ("53200", Retry),
        ("25P03", Retry),
        ("08006", Retry),
        ("XX000", Retry),
        // A standby by now.
        ("25006", Retry),
        ("28P01", Usage),
        ("3D000", Usage),
        ("42501", Usage),
        // A key that is there, too long, a table that is gone, a failed transaction, no code at all.
        ("23505", Person),
        ("22001", Person),
        ("42P01", Person),
        ("25P02", Person),
        ("", Person),
    ];
    for (code, kind) in postgres {
        assert_eq!(Course::of_postgres(code).kind(), kind, "{code}");
    }
    let mysql = [
        (1205, "HY000", Retry),
        (1213, "40001", Retry),
        (1053, "08S01", Retry),
        (1927, "70100", Retry),
        (1040, "08004", Retry),
        (1021, "HY000", Retry),
        (1290, "HY000", Retry),
        (28, "HY000", Retry),
        (1045, "28000", Usage),
        (1049, "42000", Usage),
        (1142, "42000", Usage),
        (1406, "22001", Person),
        (1264, "22003", Person),
        (1452, "23000", Person),
        (1146, "42S02", Person),
    ];
    for (number, state, kind) in mysql {
        assert_eq!(Course::of_mysql(number, state).kind(), kind, "{number}");
    }
    let sqlserver = [
        (1205, 13, Retry),
        (9002, 17, Retry),
        (596, 21, Retry),
        (3906, 16, Retry),
        (18456, 14, Usage),
        (4060, 11, Usage),
        (229, 14, Usage),
        (2627, 14, Person),
        (208, 16, Person),
        // Whatever ended the session.
        (2627, 20, Retry),
        (823, 24, Retry),
    ];
    for (number, severity, kind) in sqlserver {
        assert_eq!(
            Course::of_sqlserver(number, severity).kind(),
            kind,
            "{number}"
        );
    }
    let sqlite = [
        (rusqlite::ErrorCode::DiskFull, Retry),
        (rusqlite::ErrorCode::DatabaseBusy, Retry),
        (rusqlite::ErrorCode::NotADatabase, Usage),
        (rusqlite::ErrorCode::ReadOnly, Usage),
        (rusqlite::ErrorCode::DatabaseCorrupt, Person),
        (rusqlite::ErrorCode::ConstraintViolation, Person),
        (rusqlite::ErrorCode::InternalMalfunction, Person),
    ];
    for (code, kind) in sqlite {
        assert_eq!(Course::of_sqlite(Some(code)).kind(), kind, "{code:?}");
    }
    assert_eq!(Course::of_sqlite(None).kind(), Person);
}

#[test]
fn only_what_a_row_holds_or_meets_is_of_the_row() {
    // A length, a check, a view's check, a trigger's own class, an index's row, an infinite interval.
    for code in [
        "22001", "23514", "44000", "P0001", "ABCDE", "54000", "22007",
    ] {
        assert!(Course::of_postgres(code).is_of_the_row(), "{code}");
    }
    for code in [
        "08006", "42P01", "42501", "25006", "57014", "XX000", "3D000", "F0000", "HV000", "", "x",
    ] {
        assert!(!Course::of_postgres(code).is_of_the_row(), "{code}");
    }
    for (number, state) in [
        (1062, "23000"),
        (1366, "HY000"),
        (3819, "HY000"),
        (1644, "45000"),
        (1153, "08S01"),
    ] {
        assert!(Course::of_mysql(number, state).is_of_the_row(), "{number}");
    }
    for (number, state) in [
        (1146, "42S02"),
        (1205, "HY000"),
        (1142, "42000"),
        (1064, "42000"),
    ] {
        assert!(!Course::of_mysql(number, state).is_of_the_row(), "{number}");
    }
    for number in [547, 8152, 50000, 60000, 3609] {
        assert!(Course::of_sqlserver(number, 16).is_of_the_row(), "{number}");
    }
    for number in [208, 1205, 229, 18456] {
        assert!(
            !Course::of_sqlserver(number, 16).is_of_the_row(),
            "{number}"
        );
    }
}

#[test]
fn what_babelfish_has_no_number_for_is_told_by_postgresqls_words() {
    for (message, course) in [
        ("canceling statement due to lock timeout", Course::Lock),
        ("canceling statement due to user request", Course::Again),
        (
            "terminating connection due to administrator command",
            Course::Again,
        ),
        ("the database system is shutting down", Course::Again),
        (
            "cannot execute UPDATE in a read-only transaction",
            Course::Primary,
        ),
        ("permission denied for schema dbo", Course::Rights),
        ("relation \"t\" does not exist", Course::Definition),
        ("invalid input syntax for type integer: \"x\"", Course::Row),
        ("numeric field overflow", Course::Row),
        (
            "value \"99999999999\" is out of range for type integer",
            Course::Row,
        ),
        ("integer out of range", Course::Row),
        // What a row holds is nobody's word.
        (
            "invalid input syntax for type bit: \"permission denied\"",
            Course::Row,
        ),
        ("something that nobody foresaw", Course::Person),
    ] {
        assert_eq!(Course::of_babelfish(message), course, "{message}");
    }
    assert!(says_farewell(
        "terminating connection due to administrator command"
    ));
    // A row that says so is none.
    assert!(!says_farewell(
        "invalid input syntax for type integer: \"terminating connection\""
    ));
}

#[test]
fn every_action_but_those_of_the_servers_own_words_says_what_to_do() {
    for (product, title) in PRODUCTS {
        for (code, course) in listed(product) {
            let error = course.error(product, "it failed");
            let silent = matches!(course, Course::Row | Course::Person);
            assert_eq!(error.hint().is_none(), silent, "{title} {code}");
            assert_eq!(error.kind(), course.kind());
            assert_eq!(error.is_locked_out(), course == Course::Lock);
        }
    }
}

#[test]
fn no_row_of_a_table_hides_another() {
    let mut codes: Vec<&str> = postgres::TABLE.iter().map(|(code, _)| *code).collect();
    codes.sort_unstable();
    let count = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), count, "a code is listed twice");
    for (range, course) in mysql::TABLE {
        for number in [*range.start(), *range.end()] {
            // The numbers below 1000 are one row, but for the one of a full disk.
            assert_eq!(Course::of_mysql(number, ""), *course, "{number}");
        }
    }
    for (range, course) in sqlserver::TABLE {
        for number in [*range.start(), *range.end()] {
            assert_eq!(Course::of_sqlserver(number, 16), *course, "{number}");
        }
    }
    for (code, _, course) in sqlite::TABLE {
        assert_eq!(Course::of_sqlite(Some(*code)), *course, "{code:?}");
    }
}
