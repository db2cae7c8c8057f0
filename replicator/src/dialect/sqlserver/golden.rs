//! Every statement that can be made here, written down in `statements.sql`, so that it is seen when one changes; and each
//! of them read by a parser of T-SQL that is not ours.

use std::fmt::Write as _;

use super::parsed::{parse, tables};
use super::types::Held;
use super::*;

/// Rows of a statement for several.
const ROWS: usize = 2;

/// All statements, with what each is for.
#[derive(Default)]
struct Written(String);

impl Written {
    fn put(&mut self, what: &str, sql: &str) {
        parse(sql);
        let sql = format!("\n{sql};\n");
        // Once is enough.
        if !self.0.contains(&sql) {
            let _ = write!(self.0, "\n-- {what}{sql}");
        }
    }

    /// Over rows of a table.
    fn rows(&mut self, target: &Target, columns: usize) {
        let shapes = [
            ("insert", Shape::Insert),
            ("update of nothing", Shape::Update([].into())),
            ("update", Shape::Update([1, 6].into())),
            (
                "update of all columns",
                Shape::Update((0..columns).collect()),
            ),
            ("delete", Shape::Delete),
            ("truncate", Shape::Truncate),
        ];
        for (what, shape) in shapes {
            self.put(what, &target.statement(&shape, 1));
            if target.most_rows(&shape) >= ROWS {
                let sql = target.statement(&shape, ROWS);
                self.put(&format!("{what}, several rows"), &sql);
            }
            if target.is_staged(&shape) {
                let staged = target.staged(&shape, 7);
                self.put(&format!("{what}, its temporary table"), &staged.ready);
                let filling = staged.filling(ROWS);
                self.put(&format!("{what}, rows into it"), &filling);
                self.put(&format!("{what}, by way of it"), &staged.apply);
            }
        }
        self.put("rows that are read", &target.select());
    }

    /// Of a table.
    fn definitions(&mut self, words: &SqlServer, table: &Table, target: &Target) {
        self.put("table", &words.create_table(table));
        for at in 0..table.columns.len() {
            self.put("column", &words.add(table, at));
            self.put("column, filled", &target.fill(at, false));
            self.put("column, emptied", &target.fill(at, true));
            self.put("type", &words.retype(table, at).unwrap());
        }
        self.put("name", &words.rename(table, "it's", "new]"));
    }
}

fn written() -> String {
    let mut written = Written("-- Made by golden.rs; BLESS=1 writes it.\n".to_owned());
    for key in [&[0][..], &[7, 2], &[]] {
        let of_key = |table: &Table| table.key == key;
        let table = tables().into_iter().find(of_key).expect("such a table");
        let named: Vec<&str> = key.iter().map(|at| &*table.columns[*at].name).collect();
        for on_misfit in [OnMisfit::Fail, OnMisfit::Text] {
            let _ = writeln!(written.0, "\n---- Key {named:?}, misfits {on_misfit:?}");
            let target = Target::new(&table, Held::all(&table, on_misfit).unwrap());
            written.rows(&target, table.columns.len());
            if key == [0] {
                let words = SqlServer::new().on_misfit(on_misfit);
                written.definitions(&words, &table, &target);
            }
        }
    }
    written.0.push_str("\n---- Of our own\n");
    written.put("schema", &create_schema("my]schema"));
    for (sql, _) in ledger::ALL {
        written.put("ledger", sql);
    }
    for (sql, _) in catalog::ALL {
        written.put("catalog", sql);
    }
    written.0
}

/// `BLESS=1` writes it anew.
#[test]
fn statements_are_those_that_are_written_down() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/dialect/sqlserver/statements.sql"
    );
    let wanted = written();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    let differs = there
        .lines()
        .zip(wanted.lines())
        .find(|(there, wanted)| there != wanted);
    assert!(there == wanted, "{differs:#?}; BLESS=1 writes {path}");
}
