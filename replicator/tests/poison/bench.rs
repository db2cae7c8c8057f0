//! Where a case is played: a source, a table at the destination that takes less than the source, and the file of what
//! was left out.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;
use testdata::{Client, Server, Version};

use crate::common::{Finished, Job, Table, connect, differences, published, quiet, source_rows};
use crate::place::Place;

/// What a product has to say for itself.
pub(crate) trait Product: Place {
    /// A type for texts of any length.
    const TEXT: &str = "text";

    /// Makes a trigger that refuses rows of a table whose `v` is `forbidden`, saying `not here`.
    fn forbid(&self, table: &str);

    /// Makes a trigger on a table that fails for every row, as it uses a table that is not there.
    fn spoil(&self, table: &str);

    /// The golden words of a case.
    fn words(case: Case) -> &'static str;
}

/// A case with golden words.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    Check,
    Trigger,
    Missing,
    Conflict,
    Another,
}

pub(crate) struct Bench<P> {
    pub(crate) place: P,
    pub(crate) source: Client,
    pub(crate) job: Job,
}

/// At the source; the destination's table is as [`NARROWER`] has it.
const TABLES: &str = "
    CREATE TABLE t (id int PRIMARY KEY, n int, v text);
    CREATE TABLE free (id int PRIMARY KEY, v text)";

const NARROWER: &str = "
    CREATE TABLE {t} (id integer NOT NULL PRIMARY KEY, n integer, v {text} NOT NULL, CONSTRAINT small CHECK (n < 100));
    CREATE TABLE {free} (id integer NOT NULL PRIMARY KEY, v {text})";

impl<P: Product> Bench<P> {
    /// With the tables `t`, of which the destination takes less, and `free`.
    pub(crate) fn new(options: &[&str]) -> Self {
        Self::of(TABLES, NARROWER, options)
    }

    /// With tables that are made by these scripts, in the second of which `{name}` is a name at the destination.
    pub(crate) fn of(source: &str, destination: &str, options: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let database = format!("source_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let server = server();
        connect(server, "postgres")
            .batch(&format!("CREATE DATABASE {database}"))
            .unwrap();
        let place = P::fresh();
        let job = Job::new(server, &database)
            .into(place.url())
            .slot(&database)
            .options(&["--copy", "no"])
            .options(options);
        let mut bench = Self {
            source: connect(server, &database),
            place,
            job,
        };
        bench.play(source);
        let mut destination = destination.replace("{text}", P::TEXT);
        for table in ["t", "free"] {
            destination = destination.replace(&format!("{{{table}}}"), &bench.name(table));
        }
        bench.place.sql(&destination);
        bench.run(&[]);
        bench
    }

    pub(crate) fn name(&self, table: &str) -> String {
        self.place.name("public", table)
    }

    /// Statements at the source, each a transaction.
    pub(crate) fn play(&mut self, script: &str) {
        for statement in script.split("\n\n") {
            let done = self.source.batch(statement);
            done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        }
    }

    /// Everything arrives.
    pub(crate) fn run(&self, options: &[&str]) -> String {
        let finished = self.ends(options);
        assert_eq!(finished.code, Some(0), "{}", finished.log);
        finished.log
    }

    pub(crate) fn ends(&self, options: &[&str]) -> Finished {
        let options = [&["--until", "current"], options].concat();
        self.job.run(&options)
    }

    /// Must end for a person; what is printed behind the log.
    pub(crate) fn stops(&self, options: &[&str]) -> String {
        let finished = self.ends(options);
        assert_eq!(finished.code, Some(3), "{}", finished.log);
        let start = finished.log.find("error: ").expect("an error");
        finished.log[start..].to_owned()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.job.folder().join("left-out.jsonl")
    }

    /// Everything arrives but what is refused.
    pub(crate) fn run_with_quarantine(&self, options: &[&str]) -> String {
        let file = self.file();
        let file = ["--quarantine", file.to_str().unwrap()];
        self.run(&[&file, options].concat())
    }

    /// The lines of the file.
    pub(crate) fn left_out(&self) -> Vec<Value> {
        let Ok(text) = std::fs::read_to_string(self.file()) else {
            return Vec::new();
        };
        let lines = text.lines();
        lines
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect()
    }

    /// What differs between source and destination, by table: `t: 1 more at the source: …`.
    pub(crate) fn differences(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        for table in published(&mut self.source, "replicator") {
            let there = self.place.rows(&table);
            let here = source_rows(&mut self.source, &table);
            let found = differences(&here, &there, "source", "destination");
            all.extend(
                found
                    .into_iter()
                    .map(|what| format!("{}: {what}", table.name)),
            );
        }
        all
    }

    /// The rows of a query at the destination, as `a|b`.
    pub(crate) fn there(&self, sql: &str) -> Vec<String> {
        let rows = self.place.reader()(sql).into_iter();
        rows.map(|row| {
            let cells = row.into_iter().map(Option::unwrap_or_default);
            cells.collect::<Vec<_>>().join("|")
        })
        .collect()
    }

    /// The row of the source that a line speaks of, in the line's form.
    pub(crate) fn source_row(&mut self, table: &str, id: &str) -> Value {
        let table: Table = published(&mut self.source, "replicator")
            .into_iter()
            .find(|found| found.name == table)
            .unwrap();
        let columns: Vec<&str> = table.columns.iter().map(|(name, _)| &**name).collect();
        let sql = format!(
            "SELECT {} FROM {} WHERE id = {id}",
            columns.join(", "),
            table.name
        );
        let row = self.source.query(&sql).unwrap().pop().expect("the row");
        let members = columns.into_iter().map(str::to_owned);
        let cells = row
            .into_iter()
            .map(|cell| cell.map_or(Value::Null, Value::String));
        Value::Object(members.zip(cells).collect())
    }
}

/// The source of all: large transactions are sent before they commit.
fn server() -> &'static Server {
    static SERVER: OnceLock<Mutex<Option<&'static Server>>> = OnceLock::new();
    let mut server = SERVER.get_or_init(Mutex::default).lock().unwrap();
    server.get_or_insert_with(|| {
        let server = quiet(Version::NEWEST)
            .setting("max_replication_slots", 200)
            .setting("max_wal_senders", 200)
            .setting("max_connections", 300)
            .setting("logical_decoding_work_mem", "64kB")
            .start();
        Box::leak(Box::new(server))
    })
}

#[cfg(feature = "sqlite")]
impl Product for crate::place::Sqlite {
    fn forbid(&self, table: &str) {
        self.sql(&format!(
            "CREATE TRIGGER forbid BEFORE INSERT ON {table} WHEN NEW.v = 'forbidden'
             BEGIN SELECT RAISE(ABORT, 'not here'); END"
        ));
    }

    fn spoil(&self, table: &str) {
        self.sql(&format!(
            "CREATE TRIGGER spoil AFTER INSERT ON {table} BEGIN INSERT INTO nowhere VALUES (NEW.id); END"
        ));
    }

    fn words(case: Case) -> &'static str {
        match case {
            Case::Check => {
                r#"error: table public.t, insert at LSN: the destination refuses the row with id = 7: CHECK constraint failed: small
  sql: INSERT INTO "t" ("id", "n", "v") VALUES (?, ?, ?) <- 7, 100, 'much'
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Trigger => {
                r#"error: table public.t, insert at LSN: the destination refuses the row with id = 7: not here
  sql: INSERT INTO "t" ("id", "n", "v") VALUES (?, ?, ?) <- 7, 1, 'forbidden'
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Missing => {
                r#"error: table public.t, update at LSN: the destination refuses the row with id = 1, column v: NOT NULL constraint failed: t.v
  sql: UPDATE "t" SET "n" = ?, "v" = ? WHERE "id" = ? <- 1, NULL, 1
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Conflict => {
                r#"error: table public.t, delete at LSN: conflict: there is no row with id = 1
  sql: DELETE FROM "t" WHERE "id" = ? <- 1
 hint: somebody else has changed table "t" at the destination; undo that there and start again, or start once with --on-conflict apply; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Another => {
                r#"error: table public.free, insert at LSN: conflict: a row with id = 7 is there already
cause: UNIQUE constraint failed: free.id
  sql: INSERT INTO "free" ("id", "v") VALUES (?, ?) <- 7, 'ours'
 hint: somebody else has changed table "free" at the destination; undo that there and start again, or start once with --on-conflict apply; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
        }
    }
}

#[cfg(feature = "postgres")]
impl Product for crate::place::Postgres<18> {
    fn forbid(&self, table: &str) {
        self.sql(&format!(
            "CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN IF NEW.v = 'forbidden' THEN RAISE 'not here' USING HINT = 'ask the owner'; END IF; RETURN NEW; END $$;
             CREATE TRIGGER forbid BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION forbid()"
        ));
    }

    fn spoil(&self, table: &str) {
        self.sql(&format!(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO nowhere VALUES (NEW.id); RETURN NULL; END $$;
             CREATE TRIGGER spoil AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION spoil()"
        ));
    }

    fn words(case: Case) -> &'static str {
        match case {
            Case::Check => {
                r#"error: table public.t, insert at LSN: the destination refuses the row with id = 7, constraint small: new row for relation "t" violates check constraint "small" (Failing row contains (7, 100, much).) [SQLSTATE 23514]
  sql: INSERT INTO "public"."t" ("id", "n", "v") OVERRIDING SYSTEM VALUE SELECT v.c1, v.c2, v.c3::pg_catalog."text" FROM unnest($1::pg_catalog."int4"[], $2::pg_catalog."int4"[], $3::pg_catalog."text"[]) AS v(c1, c2, c3) <- 7, 100, 'much'
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Trigger => {
                r#"error: table public.t, insert at LSN: the destination refuses the row with id = 7: not here [SQLSTATE P0001]
  sql: INSERT INTO "public"."t" ("id", "n", "v") OVERRIDING SYSTEM VALUE SELECT v.c1, v.c2, v.c3::pg_catalog."text" FROM unnest($1::pg_catalog."int4"[], $2::pg_catalog."int4"[], $3::pg_catalog."text"[]) AS v(c1, c2, c3) <- 7, 1, 'forbidden'
 hint: ask the owner; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Missing => {
                r#"error: table public.t, update at LSN: the destination refuses the row with id = 1, column v: null value in column "v" of relation "t" violates not-null constraint (Failing row contains (1, 1, null).) [SQLSTATE 23502]
  sql: UPDATE "public"."t" AS t SET "n" = v.c1, "v" = v.c2::pg_catalog."text" FROM unnest($1::pg_catalog."int4"[], $2::pg_catalog."text"[], $3::pg_catalog."int4"[]) AS v(c1, c2, c3) WHERE t."id" = (v.c3) <- 1, NULL, 1
 hint: have the destination take it and start again; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Conflict => {
                r#"error: table public.t, delete at LSN: conflict: there is no row with id = 1
  sql: DELETE FROM "public"."t" AS t USING unnest($1::pg_catalog."int4"[]) AS v(c1) WHERE t."id" = (v.c1) <- 1
 hint: somebody else has changed table "public.t" at the destination; undo that there and start again, or start once with --on-conflict apply; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
            Case::Another => {
                r#"error: table public.free, insert at LSN: conflict: a row with id = 7 is there already
cause: duplicate key value violates unique constraint "free_pkey" (Key (id)=(7) already exists.) [SQLSTATE 23505]
  sql: INSERT INTO "public"."free" ("id", "v") OVERRIDING SYSTEM VALUE SELECT v.c1, v.c2::pg_catalog."text" FROM unnest($1::pg_catalog."int4"[], $2::pg_catalog."text"[]) AS v(c1, c2) <- 7, 'ours'
 hint: somebody else has changed table "public.free" at the destination; undo that there and start again, or start once with --on-conflict apply; or leave this change out with --quarantine FILE, or its transaction with --skip LSN --quarantine FILE
"#
            }
        }
    }
}
