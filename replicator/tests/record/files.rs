//! One file after the other, compressed or not.

use super::tape::files;
use super::*;

/// Rows of about 1 kB that do not compress away, in transactions of a hundred.
fn fill(studio: &Studio, from: i32, to: i32) {
    let mut client = studio.site.client();
    for first in (from..=to).step_by(100) {
        let last = (first + 99).min(to);
        client
            .batch(&format!(
                "INSERT INTO t SELECT i, (SELECT string_agg(md5(i::text || j), '') FROM generate_series(1, 30) j)
                 FROM generate_series({first}, {last}) i"
            ))
            .unwrap();
    }
}

#[test]
fn a_file_is_finished_at_its_size_and_each_can_be_read_alone() {
    for compress in [false, true] {
        let studio = Studio::new();
        studio.begin();
        fill(&studio, 1, 6000);
        let mut arguments = vec!["--rotate-size", "1"];
        if compress {
            arguments.push("--compress");
        }
        studio.catch_up(&arguments);
        let tape = studio.tape();
        assert!(tape.files >= 5, "{} files", tape.files);
        assert_eq!(
            (tape.sessions, tape.continued),
            (tape.files + 1, tape.files - 1)
        );
        assert_eq!(tape.ids(), studio.rows());
        let finished = files(&studio.file());
        for path in &finished[..finished.len() - 1] {
            let compressed = path.extension().is_some_and(|extension| extension == "gz");
            assert_eq!(compressed, compress, "{path:?}");
            if !compress {
                let size = path.metadata().unwrap().len();
                // One transaction more at most.
                assert!((1 << 20..(1 << 20) + (200 << 10)).contains(&size), "{size}");
            }
        }
        // On with the file that is not finished.
        fill(&studio, 6001, 6100);
        studio.catch_up(&arguments);
        assert_eq!(studio.tape().ids(), studio.rows());
    }
}

/// The other half of the program reads what this one wrote, all files at once and each alone.
#[test]
fn decode_shows_what_was_recorded() {
    let studio = Studio::new();
    studio.begin();
    fill(&studio, 1, 3000);
    studio
        .site
        .sql("UPDATE t SET v = 'changed' WHERE id = 7; DELETE FROM t WHERE id = 8");
    studio.catch_up(&["--rotate-size", "1", "--compress"]);
    let files = files(&studio.file());
    assert!(files.len() >= 3);
    let decode = |files: &[PathBuf]| {
        let mut program = common::program();
        program.args(["decode", "--json"]).args(files);
        let outcome = Running::start(&mut program).wait(PATIENCE);
        outcome.done();
        let lines = outcome.stdout.lines();
        let lines = lines.map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let ids = |lines: &[serde_json::Value], kind: &str, row: &str| {
        let lines = lines.iter().filter(|line| line["kind"] == kind);
        let ids = lines.map(|line| line[row]["id"].as_str().unwrap().parse().unwrap());
        ids.collect::<Vec<i32>>()
    };
    let all = decode(&files);
    assert_eq!(ids(&all, "insert", "new"), (1..=3000).collect::<Vec<_>>());
    assert_eq!(ids(&all, "update", "new"), [7]);
    assert_eq!(ids(&all, "delete", "key"), [8]);
    let alone: Vec<i32> = files
        .iter()
        .flat_map(|file| ids(&decode(std::slice::from_ref(file)), "insert", "new"))
        .collect();
    assert_eq!(alone, (1..=3000).collect::<Vec<_>>());
}

#[test]
fn finished_files_may_be_taken_away() {
    let studio = Studio::new();
    studio.begin();
    fill(&studio, 1, 3000);
    studio.catch_up(&["--rotate-size", "1"]);
    let all = files(&studio.file());
    assert!(all.len() >= 3);
    for path in &all[..all.len() - 1] {
        std::fs::remove_file(path).unwrap();
    }
    studio.insert(5000, 5000);
    studio.catch_up(&["--rotate-size", "1"]);
    let ids = studio.tape().ids();
    assert_eq!(ids.last(), Some(&5000));
    assert_eq!(ids.iter().filter(|&&id| id == 5000).count(), 1);
}

/// A streamed transaction that is open keeps the file from being finished in its middle.
#[test]
fn a_streamed_transaction_is_never_torn_apart() {
    let server = Server::builder(Version::NEWEST)
        .setting("logical_decoding_work_mem", "64kB")
        .start();
    let studio = Studio::at(Site::own(server));
    studio.begin();
    let mut long = studio.site.client();
    long.batch("BEGIN").unwrap();
    long.batch("INSERT INTO t SELECT i, repeat('x', 1000) FROM generate_series(10001, 11000) i")
        .unwrap();
    let mut running = Running::start(&mut studio.command(&["--rotate-size", "1"]));
    fill(&studio, 1, 3000);
    running.until("the rows are there", || studio.tape().ids().contains(&3000));
    assert_eq!(files(&studio.file()).len(), 1);
    long.batch("COMMIT").unwrap();
    running.until("the file is finished", || files(&studio.file()).len() == 2);
    fill(&studio, 3001, 6000);
    running.until("the rows are there", || studio.tape().ids().contains(&6000));
    running.terminate().done();
    assert!(studio.tape().files >= 3);
    assert_eq!(studio.tape().ids(), studio.rows());
}

/// The gap between the end of one file and the beginning of the next, and a file that was begun and got nothing.
#[test]
fn a_crash_between_two_files_is_gone_on_from() {
    let studio = Studio::new();
    studio.begin();
    studio.insert(1, 1);
    studio.catch_up(&[]);
    let numbered = studio.file().with_file_name("shop.capture.000001");
    std::fs::rename(studio.file(), &numbered).unwrap();
    studio.insert(2, 2);
    studio.catch_up(&["--rotate-size", "1"]);
    assert_eq!(studio.tape().ids(), [1, 2]);

    let finish = |number: usize| {
        let numbered = format!("shop.capture.00000{number}");
        std::fs::rename(studio.file(), studio.file().with_file_name(numbered)).unwrap();
    };
    finish(2);
    let torn: [&[u8]; 4] = [
        b"",
        b"\x89PGC",
        b"\x89PGCAP\r\n\0\x02",
        b"\x89PGCAP\r\n\0\x02S\0\0",
    ];
    for (number, torn) in (3..).zip(torn) {
        std::fs::write(studio.file(), torn).unwrap();
        studio.catch_up(&["--rotate-size", "1"]);
        assert_eq!(studio.tape().ids(), [1, 2]);
        finish(number);
    }
    // Somebody else moves the slot meanwhile: the finished file tells.
    let advance = format!(
        "SELECT pg_replication_slot_advance('{}', pg_current_wal_lsn())",
        studio.site.slot
    );
    studio.insert(3, 3);
    studio.site.sql(&advance);
    studio
        .record(&["--until", "current"])
        .failed(3, &["was confirmed up to"]);
}
