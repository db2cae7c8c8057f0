//! What real servers say about values: PostgreSQL 14 to 18, each started once for the whole test program.
//!
//! A test asks each version about many values of a type at once, and gets per value both forms that pgoutput sends, and
//! whatever else SQL can say about it:
//!
//! ```ignore
//! oracle::each(|oracle, random| {
//!     let inputs: Vec<String> = (0..2_000).map(|_| date(random)).collect();
//!     let answers = oracle.ask("date", &inputs, &["extract(year FROM x)::int"]);
//!     oracle::both_forms(&answers, Column::value::<Date>);
//!     for answer in &answers {
//!         assert_eq!(answer.value::<Date>().year().to_string(), answer.told(0), "{answer:?}");
//!     }
//! });
//! ```
//!
//! Random values come from a seed that a failing test prints; `SEED=… cargo test …` repeats it.

#![allow(dead_code, reason = "each test program uses its part")]

use std::collections::HashMap;
use std::env;
use std::fmt;
use std::sync::OnceLock;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use testdata::workload::Random;
use testdata::{Client, Row, Server, Version};
use walproto::Column;
use walproto::value::{FromColumn, ValueError};

/// What walstream pins, where it shapes the text of values.
const PINNED: [(&str, &str); 9] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "3"),
    ("TimeZone", "UTC"),
    ("xmlbinary", "base64"),
    ("lc_monetary", "C"),
    ("search_path", "pg_catalog"),
];

/// A server of every version, all alive until the test program ends.
fn servers() -> &'static HashMap<Version, Server> {
    static SERVERS: OnceLock<HashMap<Version, Server>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let starting = Version::ALL.map(|version| thread::spawn(move || Server::start(version)));
        let started = starting.map(|server| server.join().expect("a server starts"));
        Version::ALL.into_iter().zip(started).collect()
    })
}

/// Runs a check against every version, each with the same random numbers.
pub(crate) fn each(mut check: impl FnMut(&mut Oracle, &mut Random)) {
    let seed = seed();
    for version in Version::ALL {
        eprintln!("PostgreSQL {version}, SEED={seed}");
        check(&mut Oracle::connect(version), &mut Random::new(seed));
    }
}

/// The seed from the environment, or a new one.
pub(crate) fn seed() -> u64 {
    match env::var("SEED") {
        Ok(seed) => seed.parse().expect("SEED is a number"),
        Err(_) => SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| {
                since.as_secs() * 1_000 + u64::from(since.subsec_millis())
            }),
    }
}

/// A session on a server, with the settings pinned as walstream pins them.
#[derive(Debug)]
pub(crate) struct Oracle {
    version: Version,
    client: Client,
}

impl Oracle {
    /// Opens a session on the server of this version.
    pub(crate) fn connect(version: Version) -> Self {
        let client = Client::connect_with(&servers()[&version], "postgres", "postgres", &PINNED)
            .expect("the server lets us in");
        let mut oracle = Self { version, client };
        oracle.run("CREATE TEMPORARY TABLE inputs (i serial, input text)");
        oracle
    }

    /// The server's version.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Changes a setting of the session.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.run(&format!("SET {name} TO '{value}'"));
    }

    /// Runs statements for their effect, such as creating a type (in `pg_temp`, which is in nobody's way).
    pub(crate) fn run(&mut self, sql: &str) {
        self.client
            .batch(sql)
            .unwrap_or_else(|error| panic!("{}: {error}: {sql}", self.version));
    }

    /// Runs a query.
    pub(crate) fn rows(&mut self, sql: &str) -> Vec<Row> {
        self.client
            .query(sql)
            .unwrap_or_else(|error| panic!("{}: {error}: {sql}", self.version))
    }

    /// Asks about the values that the server makes of these inputs, texts as its input function for `ty` takes them.
    ///
    /// Each of `expressions` is SQL over the value `x`, answered as text. Inputs that the server refuses have no
    /// answer; if it refuses one in ten, the test's generator is wrong.
    pub(crate) fn ask(&mut self, ty: &str, inputs: &[String], expressions: &[&str]) -> Vec<Answer> {
        self.run(&format!(
            "TRUNCATE inputs RESTART IDENTITY;
            CREATE OR REPLACE FUNCTION pg_temp.made(input text) RETURNS {ty} LANGUAGE plpgsql AS $$
            BEGIN RETURN input::{ty}; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$"
        ));
        let mut lines = String::new();
        for input in inputs {
            for char in input.chars() {
                match char {
                    '\\' => lines.push_str("\\\\"),
                    '\n' => lines.push_str("\\n"),
                    '\r' => lines.push_str("\\r"),
                    '\t' => lines.push_str("\\t"),
                    other => lines.push(other),
                }
            }
            lines.push('\n');
        }
        self.client
            .copy_in("COPY inputs (input) FROM STDIN", lines.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}", self.version));
        let made = "SELECT i, input, pg_temp.made(input) FROM inputs ORDER BY i OFFSET 0";
        let answers = self.answers(ty, made, expressions);
        self.run("DROP FUNCTION pg_temp.made");
        assert!(
            answers.len() * 10 >= inputs.len() * 9,
            "{}: only {} of {} are a {ty}",
            self.version,
            answers.len(),
            inputs.len()
        );
        eprintln!("{}: {} of {ty}", self.version, answers.len());
        answers
    }

    /// Asks about the values of a query's only column; for values that are easier to write in SQL, such as arrays.
    pub(crate) fn ask_query(&mut self, ty: &str, query: &str, expressions: &[&str]) -> Vec<Answer> {
        let made = format!(
            "SELECT row_number() OVER (), '', x FROM ({query}) AS made (x) ORDER BY 1 OFFSET 0"
        );
        self.answers(ty, &made, expressions)
    }

    /// A query of number, input and value becomes answers.
    fn answers(&mut self, ty: &str, made: &str, expressions: &[&str]) -> Vec<Answer> {
        let send = self.rows(&format!(
            "SELECT typsend::regproc FROM pg_type WHERE oid = '{ty}'::regtype"
        ));
        let send = send[0][0].as_deref().expect("a type has a send function");
        let asked: String = expressions
            .iter()
            .map(|sql| format!(", ({sql})::text"))
            .collect();
        let rows = self.rows(&format!(
            "SELECT input, x, encode({send}(x), 'hex') {asked} FROM ({made}) AS made (i, input, x)
            WHERE {send}(x) IS NOT NULL ORDER BY i"
        ));
        let answer = |row: Row| {
            let mut cells = row.into_iter();
            let mut cell = || cells.next().expect("a row has all columns");
            Answer {
                input: cell().unwrap_or_default(),
                text: cell().expect("a value has a text form"),
                binary: unhex(&cell().expect("a value has a binary form")),
                told: cells.collect(),
            }
        };
        rows.into_iter().map(answer).collect()
    }
}

/// What a server says about one value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// What the value was made of; empty if by a query.
    pub(crate) input: String,
    /// The text form, by the type's output function.
    pub(crate) text: String,
    /// The binary form, by the type's send function.
    pub(crate) binary: Vec<u8>,
    /// The answers to the expressions, in order.
    pub(crate) told: Vec<Option<String>>,
}

impl Answer {
    /// The answer to one of the expressions; empty for NULL.
    pub(crate) fn told(&self, index: usize) -> &str {
        self.told[index].as_deref().unwrap_or_default()
    }

    /// Both forms, as columns of a row.
    pub(crate) fn forms(&self) -> [Column<'_>; 2] {
        [
            Column::Text(self.text.as_bytes()),
            Column::Binary(&self.binary),
        ]
    }

    /// The value, after both forms were found to mean the same.
    pub(crate) fn value<'a, T: FromColumn<'a> + PartialEq + fmt::Debug>(&'a self) -> T {
        let [text, binary] = self.forms().map(|form| {
            form.value::<T>()
                .unwrap_or_else(|error| panic!("{error}: {self:?}"))
        });
        assert_eq!(text, binary, "{self:?}");
        text
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} from {:?}, binary ", self.text, self.input)?;
        for byte in &self.binary {
            write!(f, "{byte:02x}")?;
        }
        if !self.told.is_empty() {
            write!(f, ", told {:?}", self.told)?;
        }
        Ok(())
    }
}

/// Checks that each form of every value, read by `read` and printed, is the server's text again.
pub(crate) fn both_forms<'a, T: fmt::Display>(
    answers: &'a [Answer],
    mut read: impl FnMut(Column<'a>) -> Result<T, ValueError>,
) {
    for answer in answers {
        for form in answer.forms() {
            match read(form) {
                Ok(value) => assert_eq!(value.to_string(), answer.text, "{answer:?} as {form:?}"),
                Err(error) => panic!("{error}: {answer:?} as {form:?}"),
            }
        }
    }
}

/// Hands a reader what no server sends: random bytes, and what servers sent with bytes cut off, changed and added.
///
/// The reader should walk everything that the value lends; it may refuse or read something else, but not panic.
pub(crate) fn survives_junk<T>(
    answers: &[Answer],
    random: &mut Random,
    mut read: impl FnMut(Column<'_>) -> Result<T, ValueError>,
) {
    let mut read_both = |bytes: &[u8]| {
        for column in [Column::Text(bytes), Column::Binary(bytes)] {
            if let Err(error) = read(column) {
                let offset = usize::try_from(error.offset).expect("an offset is small");
                assert!(offset <= bytes.len(), "{error}: {column:?}");
            }
        }
    };
    let few = answers.len().div_ceil(400);
    for answer in answers.iter().step_by(few.max(1)) {
        for form in answer.forms() {
            let sound = form.as_bytes().unwrap_or_default();
            // Long values are cut at a few places only.
            for _ in 0..sound.len().min(24) {
                read_both(&sound[..random.below(sound.len())]);
                let mut changed = sound.to_vec();
                for _ in 0..=random.below(2) {
                    let at = random.below(sound.len());
                    changed[at] = match random.below(3) {
                        0 => *random.one_of(b"0123456789+-:. ,{}()[]\"\\eNaBCTnull"),
                        1 => sound[random.below(sound.len())],
                        _ => byte(random),
                    };
                }
                read_both(&changed);
            }
            let mut longer = sound.to_vec();
            longer.push(byte(random));
            read_both(&longer);
        }
        let junk: Vec<u8> = (0..random.below(24)).map(|_| byte(random)).collect();
        read_both(&junk);
    }
    read_both(b"");
}

fn byte(random: &mut Random) -> u8 {
    random.number().to_be_bytes()[0]
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hex digit");
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0]) << 4 | digit(pair[1])).expect("two digits"))
        .collect()
}
