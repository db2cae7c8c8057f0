//! Every statement that can be made here, read by a parser of T-SQL that is not ours.

use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::Parser;
use walproto::Oid;

use super::existing::{Existing, ExistingColumn};
use super::types::Held;
use super::*;
use crate::alteration::Alteration;
use crate::table::Column;

/// What SQL Server takes and the parser does not, each with what it is read as instead. The forms are Microsoft's:
/// <https://learn.microsoft.com/sql/t-sql/statements/delete-transact-sql> and `alter-table-transact-sql`.
const UNKNOWN: [(&str, &str); 3] = [
    // `TOP` of a delete; it knows that of an update.
    ("DELETE TOP (1) t FROM ", "DELETE t FROM "),
    // A new type of a column; PostgreSQL's `SET DATA TYPE` is what it knows there.
    (" ALTER COLUMN ", " ADD "),
    // The name of a row's lock: of the column that everybody has, and Microsoft's manual has not.
    ("%%lockres%%", "[lockres]"),
];

/// Reads one statement, and gives it back as the parser prints it.
pub(super) fn parse(sql: &str) -> String {
    let mut known = sql.to_owned();
    if Parser::parse_sql(&MsSqlDialect {}, sql).is_err() {
        for (unknown, instead) in UNKNOWN {
            known = known.replacen(unknown, instead, 1);
        }
    }
    let statements = Parser::parse_sql(&MsSqlDialect {}, &known)
        .unwrap_or_else(|error| panic!("{error}\n{sql}"));
    assert_eq!(statements.len(), 1, "{sql}");
    statements[0].to_string()
}

/// Reads a request as a session sends it, of one statement or several.
///
/// # Panics
///
/// It is no T-SQL.
pub(crate) fn read(sql: &str) {
    // What a driver says by itself, and the words of sessions and savepoints that the parser does not have.
    const OTHERS: [&str; 6] = [
        "INSERT BULK ",
        "SELECT TOP 0 * FROM ",
        "SET ",
        "SAVE TRANSACTION ",
        "ROLLBACK TRANSACTION ",
        "KILL ",
    ];
    for statement in sql.split("; ") {
        if !OTHERS.iter().any(|other| statement.starts_with(other)) {
            parse(statement);
        }
    }
}

/// How many different parameters it has, which are all from 1 on.
fn parameters(sql: &str) -> usize {
    let mut numbers: Vec<usize> = sql
        .split("@P")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|letter: char| !letter.is_ascii_digit());
            rest[..end.unwrap_or(rest.len())].parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert!(numbers.iter().copied().eq(1..=numbers.len()), "{sql}");
    numbers.len()
}

/// A column of each type that is declared in its own way.
fn columns() -> Vec<Column> {
    let types = [
        (16, -1),
        (17, -1),
        (20, -1),
        (21, -1),
        (23, -1),
        (25, -1),
        (701, -1),
        (1043, 14),
        (1082, -1),
        (1083, 3),
        (1114, -1),
        (1184, -1),
        (1700, 655_366),
        (2950, -1),
    ];
    let column = |(at, (oid, typmod)): (usize, &(u32, i32))| {
        Column::new(format!("c]{at}"), Oid(*oid), *typmod, Oid(*oid))
    };
    types.iter().enumerate().map(column).collect()
}

/// Tables with a key of each type, of two, of many and of none.
pub(super) fn tables() -> Vec<Table> {
    let columns = columns();
    let mut keys: Vec<Vec<usize>> = (0..columns.len()).map(|at| vec![at]).collect();
    keys.extend([vec![], vec![7, 2], vec![0, 2, 3, 4, 5, 8, 13]]);
    let named = |key: Vec<usize>| Table {
        oid: Oid(1),
        schema: "my.schema".to_owned(),
        name: "or]ders's".to_owned(),
        destination: String::new(),
        columns: columns.clone(),
        key,
        identity: 'f',
        relfilenode: 1,
    };
    let mut tables: Vec<Table> = keys.into_iter().map(named).collect();
    for table in &mut tables {
        SqlServer::new()
            .name_tables(&Names::default(), [&mut *table])
            .unwrap();
    }
    tables
}

/// A table that is there with an ordinary `varchar` in it.
fn somebody_elses(table: &Table) -> Target {
    let column = |(ours, held): (&Column, Held)| {
        let sql = held.sql();
        let data_type = sql.split('(').next().unwrap_or_default().to_owned();
        let number = |at: usize| {
            let mut numbers = sql.split(['(', ',', ')']).skip(1);
            let number = numbers.nth(at).and_then(|text| text.trim().parse().ok());
            number.unwrap_or(-1)
        };
        let is_date = ours.base_oid == Oid(1082);
        ExistingColumn {
            name: ours.name.clone(),
            data_type: if is_date { "varchar" } else { &data_type }.to_owned(),
            length: match &*data_type {
                "date" => 13,
                "nvarchar" if number(0) > 0 => number(0) * 2,
                _ => number(0),
            },
            precision: number(0),
            scale: if data_type == "decimal" {
                number(1)
            } else {
                number(0)
            },
            collation: (held.is_text() || is_date).then(|| "Latin1_General_BIN".to_owned()),
            ..ExistingColumn::default()
        }
    };
    let held = Held::all(table, OnMisfit::Fail).unwrap();
    let existing = Existing {
        durable: true,
        columns: table.columns.iter().zip(held).map(column).collect(),
        folds: true,
    };
    existing.target(table, OnMisfit::Fail).unwrap()
}

#[test]
fn statements_over_rows_are_t_sql() {
    let mut count = 0;
    let mut check = |sql: &str, width: usize| {
        parse(sql);
        assert_eq!(parameters(sql), width, "{sql}");
        // Neither a row of somebody else's nor an error may be passed over.
        for word in ["MERGE", "IGNORE", "##", "SERIALIZABLE", "HOLDLOCK"] {
            assert!(!sql.contains(word), "{sql}");
        }
        count += 1;
    };
    for table in tables() {
        let made = Target::new(&table, Held::all(&table, OnMisfit::Fail).unwrap());
        let as_text = Target::new(&table, Held::all(&table, OnMisfit::Text).unwrap());
        for (at, target) in [made, as_text, somebody_elses(&table)]
            .into_iter()
            .enumerate()
        {
            // Thousands of parameters take their time, and all of them are the same.
            let is_first = at == 0 && table.key == [0];
            let most_rows = |most: usize| if is_first { most } else { most.min(3) };
            let whole: Box<[usize]> = (0..table.columns.len()).collect();
            for shape in [
                Shape::Insert,
                Shape::Update([].into()),
                Shape::Update([1, 6].into()),
                Shape::Update(whole),
                Shape::Delete,
                Shape::Truncate,
            ] {
                let width = target.width(&shape);
                check(&target.statement(&shape, 1), width);
                let most = most_rows(target.most_rows(&shape));
                check(&target.statement(&shape, most), width * most);
                if target.is_staged(&shape) {
                    let staged = target.staged(&shape, 7);
                    for sql in [&staged.ready, &staged.apply] {
                        check(sql, 0);
                    }
                    check(&staged.filling(1), width);
                    let most = most_rows(staged.most_rows());
                    check(&staged.filling(most), width * most);
                }
            }
            check(&target.select(), 0);
            for at in 0..table.columns.len() {
                check(&target.fill(at, true), 0);
                check(&target.fill(at, false), 1);
            }
        }
    }
    assert!(count > 1000, "{count}");
}

#[test]
fn definitions_are_t_sql() {
    for (dialect, table) in tables()
        .iter()
        .flat_map(|table| [OnMisfit::Fail, OnMisfit::Text].map(|policy| (policy, table)))
        .map(|(policy, table)| (SqlServer::new().on_misfit(policy), table))
    {
        parse(&dialect.create_table(table));
        for at in 0..table.columns.len() {
            parse(&dialect.add(table, at));
            parse(&dialect.retype(table, at).unwrap());
        }
        let mut is = table.clone();
        is.columns[0].name = "it's [new]".to_owned();
        let mut gone = table.clone();
        gone.columns.pop();
        for is in [is, gone] {
            let alteration = Alteration {
                was: table.clone().into(),
                is: is.into(),
                added: None,
            };
            let statements = alteration.statements(&dialect);
            assert_eq!(statements.len(), 1);
            parse(&statements[0]);
        }
    }
    parse(&create_schema("my]schema"));
}

#[test]
fn statements_over_our_own_tables_are_t_sql() {
    for (sql, count) in ledger::ALL.iter().chain(catalog::ALL) {
        parse(sql);
        assert_eq!(parameters(sql), *count, "{sql}");
    }
}

#[test]
fn the_parser_says_what_it_cannot_read() {
    for wrong in [
        "INSERT INTO [t] ([a) VALUES (@P1)",
        "DELETE FROM [t] WHERE",
        "UPDATE [t] SET [a] = WHERE [b] = 1",
        "CREATE TABLE [t] ([a] int NOT NULL,, [b] int)",
        "DELETE TOP (1) t FROM [dbo].[t] AS t WHERE EXISTS (SELECT t.[a] INTERSECT)",
    ] {
        let read = std::panic::catch_unwind(|| parse(wrong));
        assert!(read.is_err(), "{wrong}");
    }
    // It reads what it is given, in brackets as without.
    assert_eq!(
        parse("DELETE t FROM [dbo].[t] AS t INNER JOIN [#s] AS v ON t.[a] = v.[c0]"),
        "DELETE t FROM [dbo].[t] AS t INNER JOIN [#s] AS v ON t.[a] = v.[c0]"
    );
}
