//! Takes the workloads anew from a real server: `cargo run -p benches --bin retake_workloads`.
//!
//! The values are functions of the row's number, so a retake differs in positions, times and identifiers only.

use std::error::Error;
use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::Workload;
use testdata::capture::{Capture, Header, Streaming};
use testdata::{Client, Next, Server, Version};

/// One workload: its tables, and the statements whose changes are captured.
struct Scene {
    name: &'static str,
    setup: String,
    changes: Vec<String>,
    binary: bool,
    streaming: bool,
}

fn main() -> ExitCode {
    let server = Server::builder(Version::V18)
        .setting("autovacuum", "off")
        .start();
    for scene in scenes() {
        match take(&server, &scene) {
            Ok(capture) => println!(
                "{}: {} messages, {} kB",
                scene.name,
                capture.messages().count(),
                capture.messages().map(<[u8]>::len).sum::<usize>() / 1024
            ),
            Err(error) => {
                eprintln!("retake_workloads: {}: {error}", scene.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

// About 100 kB each, the large values 320 kB: more than the first cache holds, as in a socket's buffer, and well inside
// the second.
fn scenes() -> Vec<Scene> {
    let plain = |name, setup: &str, change: &str| Scene {
        name,
        setup: setup.into(),
        changes: vec![change.into()],
        binary: false,
        streaming: false,
    };
    vec![
        Scene {
            changes: (0..300).map(tpcb).collect(),
            // pgbench's own tables, where a filler is NULL or 84 blanks.
            ..plain(
                "tpcb",
                "CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
                 CREATE TABLE pgbench_tellers (tid int PRIMARY KEY, bid int, tbalance int, filler char(84));
                 CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
                 CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
                 INSERT INTO pgbench_branches VALUES (1, 0, NULL);
                 INSERT INTO pgbench_tellers SELECT g, 1, 0, NULL FROM generate_series(1, 10) g;
                 INSERT INTO pgbench_accounts SELECT g, 1, 0, '' FROM generate_series(1, 100000) g",
                "",
            )
        },
        plain(
            "narrow",
            "CREATE TABLE narrow (id bigint PRIMARY KEY, amount int, note text)",
            "INSERT INTO narrow SELECT g, g * 7919 % 100000, left(md5(g::text), 4 + g % 9)
             FROM generate_series(1, 2500) g",
        ),
        plain("wide", &wide_table(), &wide_rows()),
        plain(
            "large",
            "CREATE TABLE large (id bigint PRIMARY KEY, body text)",
            "INSERT INTO large
             SELECT g, (SELECT string_agg(md5((g * 1000 + part)::text), '') FROM generate_series(1, 256) part)
             FROM generate_series(1, 40) g",
        ),
        plain(
            "full",
            &format!(
                "CREATE TABLE customers (id bigint PRIMARY KEY, name text, mail text, city text, balance numeric(12,2),
                     active boolean, changed timestamptz, note text);
                 ALTER TABLE customers REPLICA IDENTITY FULL;
                 INSERT INTO customers
                 SELECT g, 'Customer ' || g, md5(g::text) || '@example.com',
                     CASE WHEN {pick} % 5 > 0 THEN left(md5(g::text), 4 + {pick} % 8) END,
                     {pick} % 1000000 / 100.0, {pick} % 3 = 0, timestamptz '2026-01-01' + g * interval '1 minute',
                     CASE WHEN {pick} % 2 = 0 THEN repeat('note ', {pick} % 8) END
                 FROM generate_series(1, 350) g",
                pick = pick(1)
            ),
            "UPDATE customers SET balance = balance + 1, changed = changed + interval '1 day'",
        ),
        Scene {
            streaming: true,
            ..plain(
                "streamed",
                "CREATE TABLE events (id bigint PRIMARY KEY, kind int, body text)",
                "INSERT INTO events SELECT g, g % 12, left(md5(g::text), 8 + g % 17) FROM generate_series(1, 2000) g",
            )
        },
        Scene {
            binary: true,
            ..plain(
                "binary",
                "CREATE TABLE readings (id bigint PRIMARY KEY, sensor int, kind smallint, valid boolean, value float8,
                     error float4, exact numeric, day date, at timestamptz, device uuid, raw bytea, note text)",
                &format!(
                    "INSERT INTO readings
                     SELECT g, g % 100, g % 7, {pick} % 2 = 0, {pick} / 3.0, 0.5,
                         CASE WHEN {pick} % 4 > 0 THEN {pick} / 100.0 END, date '2026-01-01' + g % 365,
                         timestamptz '2026-01-01' + g * interval '1 second', md5(g::text)::uuid,
                         decode(left(md5(g::text), 2 * (1 + {pick} % 16)), 'hex'),
                         CASE WHEN {pick} % 3 > 0 THEN left(md5(g::text), 1 + {pick} % 20) END
                     FROM generate_series(1, 600) g",
                    pick = pick(2)
                ),
            )
        },
    ]
}

/// One transaction of pgbench.
fn tpcb(n: u32) -> String {
    let (account, teller) = (1 + n * 7919 % 100_000, 1 + n * 31 % 10);
    let delta = i64::from(n * 104_729 % 10_000) - 5000;
    format!(
        "BEGIN;
         UPDATE pgbench_accounts SET abalance = abalance + {delta} WHERE aid = {account};
         UPDATE pgbench_tellers SET tbalance = tbalance + {delta} WHERE tid = {teller};
         UPDATE pgbench_branches SET bbalance = bbalance + {delta} WHERE bid = 1;
         INSERT INTO pgbench_history VALUES ({teller}, 1, {account}, {delta}, CURRENT_TIMESTAMP, NULL);
         COMMIT"
    )
}

/// A number without a pattern that a branch predictor could learn, for row `g`.
fn pick(salt: u32) -> String {
    format!("(hashint8extended(g, {salt}) & 134217727)::int")
}

/// Eight kinds of columns, five of each.
const KINDS: [(&str, &str); 8] = [
    ("int", "{pick} % 1000000"),
    ("bigint", "{pick} * 4000::bigint"),
    ("boolean", "{pick} % 2 = 0"),
    ("text", "left(md5({pick}::text), {pick} % 24)"),
    ("numeric(12,2)", "{pick} / 100.0"),
    (
        "timestamptz",
        "timestamptz '2026-01-01' + {pick} % 30000000 * interval '1 second'",
    ),
    ("uuid", "md5({pick}::text)::uuid"),
    ("jsonb", "jsonb_build_object('n', {pick} % 100)"),
];

fn wide_table() -> String {
    let columns: Vec<_> = (1..40)
        .map(|n| format!("c{n} {}", KINDS[n % KINDS.len()].0))
        .collect();
    format!(
        "CREATE TABLE wide (id bigint PRIMARY KEY, {})",
        columns.join(", ")
    )
}

/// One value in ten is NULL.
fn wide_rows() -> String {
    let mut values = String::new();
    for n in 1..40 {
        let pick = pick(n);
        let value = KINDS[n as usize % KINDS.len()].1.replace("{pick}", &pick);
        values += &format!(", CASE WHEN {pick} % 10 > 0 THEN {value} END");
    }
    format!("INSERT INTO wide SELECT g{values} FROM generate_series(1, 200) g")
}

fn take(server: &Server, scene: &Scene) -> Result<Capture, Box<dyn Error>> {
    let mut session = Client::connect(server, "postgres")?;
    let database = format!("{}_workload", scene.name);
    session.batch(&format!("CREATE DATABASE {database}"))?;
    let mut session = Client::connect(server, &database)?;
    session.batch(&scene.setup)?;
    session.batch("CREATE PUBLICATION everything FOR ALL TABLES")?;
    let mut stream = Client::replication(server, &database)?;
    stream.batch("SET logical_decoding_work_mem = '64kB'")?;
    stream.query("CREATE_REPLICATION_SLOT taken TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")?;
    for sql in &scene.changes {
        session.batch(sql)?;
    }
    let header = Header {
        server_version_num: server.version_number(),
        protocol: if scene.streaming { 2 } else { 1 },
        binary: scene.binary,
        streaming: if scene.streaming {
            Streaming::On
        } else {
            Streaming::Off
        },
        ..Header::default()
    };
    let options = format!(
        "proto_version '{}', publication_names 'everything', binary '{}', streaming '{}'",
        header.protocol,
        if header.binary { "on" } else { "off" },
        header.streaming.as_str()
    );
    stream.start_replication(&format!(
        "START_REPLICATION SLOT taken LOGICAL 0/0 ({options})"
    ))?;
    let mut capture = Capture {
        header: Header { options, ..header },
        ..Capture::default()
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut commits = 0;
    while commits < scene.changes.len() {
        if Instant::now() > deadline {
            return Err("the server did not send every transaction".into());
        }
        // Messages only: a workload is what a decoder is handed.
        if let Next::Frame(frame) = stream.next(Duration::from_millis(100))?
            && frame.first() == Some(&b'w')
        {
            commits += usize::from(matches!(frame.get(25), Some(b'C' | b'c')));
            let sent = frame.get(17..25).and_then(|time| time.try_into().ok());
            capture.times.push(sent.map_or(0, i64::from_be_bytes));
            capture.frames.push(frame);
        }
    }
    let blocks = capture
        .messages()
        .filter(|message| message.starts_with(b"S"))
        .count();
    if scene.streaming != (blocks > 1) {
        return Err(format!("{blocks} stream blocks").into());
    }
    let path = Workload::path(scene.name);
    fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    fs::write(path, capture.to_bytes())?;
    Ok(capture)
}
