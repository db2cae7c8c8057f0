//! What `check` asks a server, what it says of the answers, and that nothing is written.

use super::*;
use crate::check::{Finding, Verdict, check};
use crate::config::Config;
use crate::destination::Existing;
use crate::destination::look::{Fate, Look};
use crate::dialect::sqlserver::{catalog, ledger};

/// What a server is like, and how its user stands there.
#[derive(Clone, Debug)]
struct Is {
    version: &'static str,
    /// Version, edition, compatibility level, delayed durability, collation, and whether it can be written.
    database: (&'static str, i32, i32, i32, &'static str),
    updateability: &'static str,
    versions: i32,
    /// Rights that are not there, each with the place where, and those that are not told.
    lacks: &'static [(&'static str, &'static str)],
    untold: &'static [&'static str],
    /// Size, use, bound and growth of its only file.
    file: [i64; 4],
    disk: Option<i64>,
    bought: Option<i64>,
}

const SOUND: Is = Is {
    version: VERSION,
    database: ("16.0.1000.6", 3, 160, 0, "Latin1_General_100_CI_AS"),
    updateability: "READ_WRITE",
    versions: 0,
    lacks: &[],
    untold: &[],
    file: [1000, 900, -1, 64],
    disk: Some(8192),
    bought: None,
};

impl Is {
    /// There is a table `[dbo].[t]` with rows, a schema `[dbo]`, and nothing of ours.
    fn reply(&self, heard: &Heard) -> Answer {
        let text = |text: &str| Cell::Text(text.to_owned());
        let Heard::Call(sql, _, values) = heard else {
            return Answer::Done;
        };
        let is_t = matches!(values.first(), Some(Cell::Text(name)) if name == "[dbo].[t]");
        let number = |number: Option<i64>| number.map_or(Cell::Null, Cell::Number);
        let rows = if sql.contains("@@VERSION") {
            vec![vec![text(self.version)]]
        } else if sql.contains("delayed_durability") {
            let (version, edition, level, durability, collation) = self.database;
            let numbers = [edition, level, durability].map(Cell::Int);
            let mut row = vec![text(version)];
            row.extend(numbers);
            row.extend([text(collation), text(self.updateability)]);
            vec![row]
        } else if sql.contains("@@SPID AS int") {
            return usual(heard);
        } else if sql == catalog::WHO {
            vec![vec![
                text("copy"),
                text("copy]er"),
                Cell::Int(self.versions),
            ]]
        } else if sql == catalog::RIGHTS {
            let Some(Cell::Text(place)) = values.first() else {
                panic!("{values:?}")
            };
            self.told(place, &["SELECT", "INSERT", "UPDATE", "DELETE", "ALTER"])
        } else if sql == catalog::DATABASE_RIGHTS {
            let all = [
                "CREATE TABLE",
                "CREATE SCHEMA",
                "VIEW DATABASE STATE",
                "KILL DATABASE CONNECTION",
            ];
            self.told("", &all)
        } else if sql == catalog::SERVER_RIGHTS {
            self.told("", &["VIEW SERVER STATE", "ALTER ANY CONNECTION"])
        } else if sql == catalog::FILES {
            vec![self.file.map(Cell::Number).to_vec()]
        } else if sql == catalog::DISKS {
            match self.disk {
                Some(free) => vec![vec![text("C:\\"), Cell::Number(free)]],
                None => return Answer::error(300, "VIEW SERVER STATE permission was denied"),
            }
        } else if sql == catalog::BOUGHT {
            // Of a number's type also where there is none.
            vec![vec![number(self.bought)], vec![Cell::Number(0)]]
        } else if sql == catalog::SCHEMA {
            let is_there = matches!(values.first(), Some(Cell::Text(name)) if name == "dbo");
            vec![
                vec![if is_there { Cell::Int(1) } else { Cell::Null }],
                vec![Cell::Int(0)],
            ]
        } else if sql == catalog::OBJECT && is_t {
            vec![vec![text("USER_TABLE"), Cell::Int(1), Cell::Int(0)]]
        } else if sql == catalog::COLUMNS && is_t {
            let (null, zero, ten) = (Cell::Null, Cell::Int(0), Cell::Int(10));
            let id = vec![
                text("id"),
                text("int"),
                Cell::Int(4),
                ten,
                zero.clone(),
                null,
            ];
            vec![[id, vec![Cell::Int(1), zero]].concat()]
        } else if sql == catalog::UNIQUE && is_t {
            vec![vec![Cell::Int(1), text("id"), Cell::Int(0)]]
        } else if sql == catalog::BOUND {
            vec![vec![Cell::Int(0)]]
        } else if sql == "SELECT TOP (1) 1 FROM [dbo].[t]" {
            vec![vec![Cell::Int(1)]]
        } else {
            // Our own tables, of which there are none, and other tables.
            let asked = [ledger::OURS, catalog::OBJECT];
            assert!(asked.contains(&&**sql), "{sql}");
            return Answer::Done;
        };
        Answer::Rows(rows)
    }

    fn told(&self, place: &str, all: &[&str]) -> Vec<Vec<Cell>> {
        let has = |right: &&str| {
            let is_untold = self.untold.contains(right);
            let lacks = self
                .lacks
                .iter()
                .any(|(at, it)| (*at, *it) == (place, *right));
            let has = Cell::Int(i32::from(!lacks));
            vec![
                Cell::Text((*right).to_owned()),
                if is_untold { Cell::Null } else { has },
            ]
        };
        all.iter().map(has).collect()
    }

    async fn starts(&self) -> Endpoint {
        let is = self.clone();
        Endpoint::start(Encryption::None, move |heard| is.reply(heard)).await
    }

    /// What is found, into tables `[new].[u]`, to be made, and `[dbo].[t]`; and the bytes that there is room for.
    async fn looked(&self, parameters: &str) -> (Vec<Finding>, Option<u64>) {
        let endpoint = self.starts().await;
        let config = Config::new("postgres://unused", endpoint.url(parameters));
        let (mut look, mut found) = Look::open(&config).await.unwrap();
        assert_eq!(look.position("s").await.unwrap(), None);
        let made = look
            .examine(&table("new.u"), Existing::Refuse)
            .await
            .unwrap();
        let taken = look
            .examine(&table("dbo.t"), Existing::Keep { makes: true })
            .await
            .unwrap();
        assert_eq!((made, taken), (Fate::Made, Fate::Taken));
        look.fits_still(&table("dbo.t")).await.unwrap();
        let error = look
            .examine(&table("dbo.t"), Existing::Refuse)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("holds rows"), "{error}");
        let survey = look.survey(&[table("new.u")], &[table("dbo.t")]).await;
        found.extend(survey.unwrap());
        let room = look.room().await;
        only_looked(&endpoint);
        (found, room)
    }
}

/// Nothing arrived that writes, and all of it is T-SQL.
fn only_looked(endpoint: &Endpoint) {
    let all = endpoint.statements();
    let at = all
        .iter()
        .position(|sql| sql == "SET IMPLICIT_TRANSACTIONS ON");
    let at = at.expect("transactions that nobody commits");
    for sql in &all[at + 1..] {
        parsed::read(sql);
        assert!(sql.starts_with("SELECT "), "{sql}");
    }
    let heard = endpoint.heard();
    let rows = heard.iter().any(|heard| matches!(heard, Heard::Rows(_)));
    assert!(!rows, "{heard:?}");
}

fn table(destination: &str) -> Table {
    let mut table = Table::clone(&insert().table);
    table.destination = destination.to_owned();
    table
}

/// Sees that there is a finding of that id and verdict with these words, and gives what mends it.
#[track_caller]
fn says(found: &[Finding], verdict: Verdict, id: &str, words: &str) -> Vec<String> {
    let mut found_so = found
        .iter()
        .filter(|it| it.id == id && it.verdict == verdict);
    let it = found_so.find(|it| it.reason.contains(words));
    let it = it.unwrap_or_else(|| panic!("{id} is not {verdict:?} with {words:?}: {found:#?}"));
    it.mend.iter().map(|mend| mend.text.clone()).collect()
}

fn of(found: &[Finding], verdict: Verdict) -> Vec<&'static str> {
    let found = found.iter().filter(|it| it.verdict == verdict);
    found.map(|it| it.id).collect()
}

#[tokio::test]
async fn a_sound_server_is_told_of_without_a_word_of_warning() {
    let (found, room) = SOUND.looked("").await;
    for verdict in [Verdict::Wrong, Verdict::Warning, Verdict::Unknown] {
        assert_eq!(of(&found, verdict), [""; 0], "{found:#?}");
    }
    let ok = [
        ("destination.reachable", "login \"sa\""),
        ("destination.version", "2022 (RTM)"),
        ("destination.compatibility_level", "160"),
        ("destination.durability", "DISABLED"),
        ("destination.encoding", "Latin1_General_100_CI_AS"),
        ("destination.time_zone", "UTC"),
        ("destination.isolation", "READ_COMMITTED_SNAPSHOT is OFF"),
        ("destination.rights", "user [copy] may make"),
        ("destination.sessions", "seen and ended"),
    ];
    for (id, words) in ok {
        says(&found, Verdict::Ok, id, words);
    }
    assert_eq!(found.len(), ok.len(), "{found:#?}");
    // A hundred pages within the file, and one on its disk.
    assert_eq!(room, Some(101 * 8192));
    let bounded = |file, bought| Is {
        file,
        bought,
        disk: None,
        ..SOUND
    };
    for (is, room) in [
        (bounded([1000, 900, -1, 64], None), None),
        (bounded([1000, 900, 1001, 64], None), Some(101 * 8192)),
        (
            bounded([1000, 900, -1, 64], Some(1003 * 8192)),
            Some(103 * 8192),
        ),
    ] {
        assert_eq!(is.looked("").await.1, room, "{is:?}");
    }
}

#[tokio::test]
async fn what_keeps_a_run_from_a_server_is_found_all_of_it_with_what_mends_it() {
    let is = Is {
        database: ("13.0.1", 3, 120, 2, "Latin1_General_BIN2"),
        updateability: "READ_ONLY",
        versions: 1,
        ..SOUND
    };
    let (found, _) = is.looked("").await;
    let wrong = |id, words| says(&found, Verdict::Wrong, id, words);
    assert_eq!(
        wrong("destination.compatibility_level", "level 120"),
        ["ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 130"]
    );
    assert_eq!(
        wrong("destination.durability", "FORCED"),
        ["ALTER DATABASE CURRENT SET DELAYED_DURABILITY = DISABLED"]
    );
    assert_eq!(
        wrong("destination.writable", "takes no changes"),
        ["--destination with the primary"]
    );
    says(&found, Verdict::Ok, "destination.version", "2016 and later");
    says(
        &found,
        Verdict::Ok,
        "destination.isolation",
        "SNAPSHOT is ON",
    );
    // What is wrong is not said to be right as well.
    assert_eq!(
        of(&found, Verdict::Ok)
            .iter()
            .filter(|id| id.contains("durability"))
            .count(),
        0
    );
    // And each is what a run is refused by.
    let endpoint = is.starts().await;
    let refused = open(&endpoint.url("")).await.unwrap_err();
    let level = found
        .iter()
        .find(|it| it.id == "destination.compatibility_level");
    assert_eq!(level.unwrap().reason, refused.to_string());

    let taken = Is {
        database: ("16.0.1", 3, 160, 2, "Latin1_General_BIN2"),
        ..SOUND
    };
    let (found, _) = taken.looked("delayed_durability=accept").await;
    assert_eq!(of(&found, Verdict::Wrong), [""; 0]);
    says(
        &found,
        Verdict::Warning,
        "destination.durability",
        "takes the risk",
    );

    for (version, database, words) in [
        (
            "Microsoft SQL Server 2014",
            ("12.0.6024.0", 3, 130, 0, ""),
            "has version 12.0.6024.0",
        ),
        (
            "Microsoft SQL Azure",
            ("12.0.2000.8", 6, 160, 0, ""),
            "Synapse",
        ),
    ] {
        let is = Is {
            version,
            database,
            ..SOUND
        };
        let (found, _) = is.looked("").await;
        says(&found, Verdict::Wrong, "destination.version", words);
    }
    let other = Is {
        version: "Babelfish for PostgreSQL",
        database: ("12.0.2000.8", 3, 120, 0, "bbf_unicode_cp1_ci_as"),
        ..SOUND
    };
    let (found, _) = other.looked("").await;
    assert_eq!(of(&found, Verdict::Wrong), [""; 0]);
    says(
        &found,
        Verdict::Warning,
        "destination.version",
        "no SQL Server",
    );
    // It says the same of everybody's rights, whatever they are.
    says(
        &found,
        Verdict::Unknown,
        "destination.rights",
        "CREATE TABLE",
    );
    says(
        &found,
        Verdict::Unknown,
        "destination.sessions",
        "end sessions",
    );
}

#[tokio::test]
async fn rights_that_are_missing_are_named_with_the_grants_that_give_them() {
    let is = Is {
        lacks: &[
            ("", "CREATE TABLE"),
            ("", "CREATE SCHEMA"),
            ("[dbo]", "INSERT"),
            ("[dbo]", "ALTER"),
            ("[dbo].[t]", "DELETE"),
            // That is for who makes tables there.
            ("[dbo].[t]", "ALTER"),
            ("", "ALTER ANY CONNECTION"),
        ],
        ..SOUND
    };
    let (found, _) = is.looked("").await;
    let mends: Vec<String> = [
        "CREATE TABLE on the database",
        "CREATE SCHEMA on the database",
        "INSERT, ALTER on schema [dbo]",
        "DELETE on table [dbo].[t]",
    ]
    .into_iter()
    .flat_map(|words| says(&found, Verdict::Wrong, "destination.rights", words))
    .collect();
    let expected = [
        "GRANT CREATE TABLE TO [copy]",
        "GRANT CREATE SCHEMA TO [copy]",
        "GRANT INSERT, ALTER ON SCHEMA::[dbo] TO [copy]",
        "GRANT DELETE ON [dbo].[t] TO [copy]",
    ];
    assert_eq!(mends, expected);
    assert_eq!(of(&found, Verdict::Wrong).len(), 4, "{found:#?}");
    assert_eq!(
        says(
            &found,
            Verdict::Warning,
            "destination.sessions",
            "waits for the session that holds"
        ),
        ["USE [master]; GRANT ALTER ANY CONNECTION TO [copy]]er]"]
    );

    // A database of Azure's has its own words for it, and another server may know none of them.
    let azure = Is {
        version: "Microsoft SQL Azure (RTM) - 12.0.2000.8",
        database: ("12.0.2000.8", 5, 160, 0, "SQL_Latin1_General_CP1_CI_AS"),
        lacks: &[("", "VIEW SERVER STATE"), ("", "VIEW DATABASE STATE")],
        ..SOUND
    };
    let (found, _) = azure.looked("").await;
    assert_eq!(
        says(
            &found,
            Verdict::Warning,
            "destination.sessions",
            "without an answer is waited for"
        ),
        ["GRANT VIEW DATABASE STATE TO [copy]"]
    );
    let reserved = Is {
        untold: &["ALTER"],
        ..SOUND
    };
    let (found, _) = reserved.looked("").await;
    says(
        &found,
        Verdict::Unknown,
        "destination.rights",
        "ALTER on schema [dbo]",
    );
    assert_eq!(of(&found, Verdict::Wrong), [""; 0]);
}

#[tokio::test]
async fn a_check_without_its_source_says_what_it_finds_at_the_server() {
    let endpoint = SOUND.starts().await;
    let source = "postgres://nobody@127.0.0.1:1/none?sslmode=disable";
    let report = check(Config::new(source, endpoint.url("")), true).await;
    let found = report.findings();
    says(found, Verdict::Ok, "destination.version", "2022");
    says(found, Verdict::Ok, "destination.position", "a run begins");
    says(found, Verdict::Ok, "destination.writable", "takes changes");
    says(
        found,
        Verdict::Unknown,
        "destination.space",
        "source could not be asked",
    );
    let ours = found.iter().filter(|it| it.id.starts_with("destination."));
    assert!(
        ours.clone().all(|it| it.verdict != Verdict::Wrong),
        "{found:#?}"
    );
    assert!(
        !ours.clone().any(|it| it.reason.contains("p@ss")),
        "{found:#?}"
    );
    only_looked(&endpoint);

    drop(endpoint);
    let refused = Endpoint::start(Encryption::None, |heard| match heard {
        Heard::Login(..) => Answer::Error(18456, 14, "Login failed for user 'sa'.".to_owned()),
        heard => usual(heard),
    })
    .await;
    let report = check(Config::new(source, refused.url("")), true).await;
    says(
        report.findings(),
        Verdict::Wrong,
        "destination.reachable",
        "Login failed",
    );
    says(
        report.findings(),
        Verdict::Unknown,
        "destination.rights",
        "could not be opened",
    );
}
