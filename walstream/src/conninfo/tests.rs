//! Connection strings, and all that stands in for them, against libpq itself: see tests/conninfo/README.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use testdata::Version;

use crate::config::{PARAMETERS, Settings};
use crate::{Config, Environment};

#[test]
fn texts_have_the_parts_that_libpq_finds() {
    let homes = TempDir::new().unwrap();
    let cases = cases("strings", homes.path());
    assert!(cases.len() > 200);
    let questions = cases
        .iter()
        .map(|case| format!("parse {}\n", hex(&case.text)));
    let libpq = ask(&questions.collect::<String>());
    compare("strings", &cases, &libpq, |case| {
        let pairs = super::parse(&case.text)?;
        Ok(pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect())
    });
}

#[test]
fn whatever_stands_together_is_read_as_by_libpq() {
    let pieces = [
        "host", "port", "user", "dbname", "password", "=", "=", "=", ":", "/", "@", "?", "&", ",",
        "[", "]", "%", "%2F", "%40", "%00", "%E4", "%zz", "'", "'", "\\", " ", " ", "\t", "a", "1",
        "ä",
    ];
    let beginnings = ["", "", "postgres://", "postgresql://", "postgres://u@h/d?"];
    // The same texts in every run, so that what fails once fails again.
    let mut state = 1_u64;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % below
    };
    let texts: Vec<_> = (0..20_000)
        .map(|_| {
            let mut text = beginnings[draw(beginnings.len())].to_owned();
            for _ in 0..draw(12) {
                text.push_str(pieces[draw(pieces.len())]);
            }
            text
        })
        .collect();
    let questions = texts.iter().map(|text| format!("parse {}\n", hex(text)));
    let libpq = ask(&questions.collect::<String>());
    assert_eq!(libpq.len(), texts.len());
    let mut taken = 0;
    for (text, libpq) in texts.iter().zip(&libpq) {
        match (super::parse(text), libpq) {
            (Ok(ours), Answer::Taken(libpq)) => {
                let ours = ours
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value));
                assert_eq!(&ours.collect::<BTreeMap<_, _>>(), libpq, "{text}");
                taken += 1;
            }
            (Err(_), Answer::Refused(_)) => {}
            // What we refuse on purpose: an @ too many, and what is not UTF-8.
            (Err(_), Answer::Taken(libpq))
                if ["host", "port", "dbname"]
                    .iter()
                    .any(|part| libpq.get(*part).is_some_and(|part| part.contains('@')))
                    || libpq.values().any(|value| value.contains('\u{fffd}')) => {}
            (Ok(_), libpq) => panic!("{text} is taken, libpq {libpq:?}"),
            (Err(error), libpq) => panic!("{text}: {error}, libpq {libpq:?}"),
        }
    }
    assert!(taken > 2000, "only {taken} texts were taken");
}

#[test]
fn values_are_taken_and_refused_as_by_libpq() {
    connect_and_compare("values", 150);
}

#[test]
fn variables_services_and_password_files_are_read_as_by_libpq() {
    connect_and_compare("surroundings", 80);
}

#[test]
fn every_parameter_of_libpq_is_known_with_its_variable() {
    let Answer::Taken(libpq) = ask("defaults\n").remove(0) else {
        panic!("libpq has no defaults");
    };
    let own = ["wal_sender_timeout", "max_message_size"];
    let ours: BTreeMap<_, _> = PARAMETERS
        .iter()
        .filter(|(name, _)| !own.contains(name))
        .map(|(name, variable)| ((*name).to_owned(), variable.unwrap_or_default().to_owned()))
        .collect();
    assert_eq!(ours, libpq);
    // Whatever becomes of it, none is unknown to those who give it a meaning.
    for (name, _) in PARAMETERS {
        let environment = Environment::empty().with_user("u");
        if let Err(error) = Config::parse_in(&format!("{name}=''"), &environment) {
            assert!(
                error.to_string().contains(name) || name == "service",
                "{name}: {error}"
            );
        }
    }
}

/// What values are in effect, and the password that would be sent.
fn connect_and_compare(name: &str, least: usize) {
    let homes = TempDir::new().unwrap();
    let cases = cases(name, homes.path());
    assert!(cases.len() > least);
    let mut questions = String::new();
    for case in &cases {
        for (name, value) in &case.variables {
            writeln!(questions, "set {name} {}", hex(value)).unwrap();
        }
        writeln!(questions, "set HOME {}", hex(case.home.to_str().unwrap())).unwrap();
        writeln!(questions, "connect {}", hex(&case.text)).unwrap();
    }
    let mut libpq = ask(&questions);
    let us = Environment::process().user().unwrap().to_owned();
    for (answer, case) in libpq.iter_mut().zip(&cases) {
        answer.leave_out_defaults(&us, &case.home);
    }
    compare(name, &cases, &libpq, |case| {
        let mut environment = Environment::empty().with_home(&case.home).with_user(&us);
        for (name, value) in &case.variables {
            environment = environment.with_variable(name, value);
        }
        let config = Config::parse_in(&case.text, &environment)?;
        let password = config.password_for(&config.endpoints[0]);
        let mut values: BTreeMap<_, _> = Settings::read(&case.text, &environment)?
            .iter()
            .map(|value| (value.name.to_owned(), value.text.clone()))
            .filter(|(name, value)| !DEFAULTS.contains(&(name, value)))
            .collect();
        values.insert("found".into(), password.unwrap_or_default());
        let mut answer = Answer::Taken(values);
        answer.leave_out_defaults(&us, &case.home);
        let Answer::Taken(values) = answer else {
            unreachable!("it was taken a moment ago");
        };
        Ok(values)
    });
}

/// What libpq has built in; the script leaves it out.
const DEFAULTS: [(&str, &str); 16] = [
    ("channel_binding", "prefer"),
    ("port", "5432"),
    ("options", ""),
    ("sslmode", "prefer"),
    ("sslnegotiation", "postgres"),
    ("sslcompression", "0"),
    ("sslsni", "1"),
    ("ssl_min_protocol_version", "TLSv1.2"),
    ("gssencmode", "disable"),
    ("krbsrvname", "postgres"),
    ("gssdelegation", "0"),
    ("target_session_attrs", "any"),
    ("load_balance_hosts", "disable"),
    // Filled in where they are empty.
    ("user", ""),
    ("dbname", ""),
    ("passfile", ""),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Taken(BTreeMap<String, String>),
    Refused(String),
}

impl Answer {
    /// What depends on who runs the tests and where.
    fn leave_out_defaults(&mut self, us: &str, home: &Path) {
        let Self::Taken(values) = self else {
            return;
        };
        // Which service was read shows in what it says.
        values.remove("service");
        let user = values.get("user").map_or(us, String::as_str).to_owned();
        values.retain(|name, value| match &**name {
            "user" => value != us,
            "dbname" => *value != user,
            // Depends on how libpq was built.
            "sslcertmode" => value != "allow",
            "passfile" => Path::new(value) != home.join(".pgpass"),
            "found" => !value.is_empty(),
            _ => true,
        });
    }
}

struct Case {
    line: usize,
    text: String,
    variables: Vec<(String, String)>,
    home: PathBuf,
    /// Whether we refuse on purpose what libpq takes, or answer otherwise on purpose.
    mark: Option<Mark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Differs,
    Answers,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/conninfo")
        .join(name)
}

fn cases(name: &str, homes: &Path) -> Vec<Case> {
    let file = data(&format!("{name}.txt"));
    let table = fs::read_to_string(&file).unwrap();
    let mut cases = Vec::new();
    let fresh = |at: usize| {
        let home = homes.join(at.to_string());
        fs::create_dir(&home).unwrap();
        Case {
            line: 0,
            text: String::new(),
            variables: Vec::new(),
            home,
            mark: None,
        }
    };
    let mut case = fresh(0);
    let mut lines = table.lines().zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if let Some(text) = line.strip_prefix('«') {
            case.line = number;
            case.text = bytes(text.strip_suffix('»').expect("a text ends with »"));
            cases.push(std::mem::replace(&mut case, fresh(number)));
            continue;
        }
        match word {
            "" | "#" => {}
            "differs:" => case.mark = Some(Mark::Differs),
            "answers:" => case.mark = Some(Mark::Answers),
            "set" => {
                let (name, value) = rest.split_once('=').unwrap();
                let home = case.home.to_str().unwrap();
                case.variables
                    .push((name.into(), bytes(value).replace('~', home)));
            }
            "file" => {
                let (name, mode) = rest.split_once(' ').unwrap();
                let mut content = String::new();
                while let Some((line, _)) = lines.next_if(|(line, _)| line.starts_with('\t')) {
                    content += &bytes(line.strip_prefix('\t').unwrap());
                    content.push('\n');
                }
                let path = case.home.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, content).unwrap();
                let mode = u32::from_str_radix(mode, 8).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            }
            _ => panic!("{}:{number}: {line}", file.display()),
        }
    }
    cases
}

/// Answers of libpq, an independent reading of what is asked in tests/conninfo/libpq.py.
fn ask(questions: &str) -> Vec<Answer> {
    let newest = Version::ALL.into_iter().max().unwrap();
    let mut python = Command::new("python3")
        .arg(data("libpq.py"))
        .arg(testdata::libpq(newest))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("python3 asks libpq for this test and does not start: {error}; install it (Debian: apt-get install python3)")
        });
    let mut input = python.stdin.take().unwrap();
    let questions = questions.to_owned();
    let writer = std::thread::spawn(move || input.write_all(questions.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(
        output.status.success(),
        "python3 could not ask libpq: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answers = String::from_utf8(output.stdout).unwrap();
    let mut found = Vec::new();
    let mut values = BTreeMap::new();
    for line in answers.lines() {
        match line.split_once(' ') {
            None => found.push(match values.remove("refused") {
                Some(message) => Answer::Refused(message),
                None => Answer::Taken(std::mem::take(&mut values)),
            }),
            Some((name, value)) => {
                values.insert(
                    name.to_owned(),
                    String::from_utf8_lossy(&unhex(value)).into_owned(),
                );
            }
        }
    }
    found
}

/// Holds ours against what was recorded of libpq, and that against libpq.
fn compare(
    name: &str,
    cases: &[Case],
    libpq: &[Answer],
    ours: impl Fn(&Case) -> crate::Result<BTreeMap<String, String>>,
) {
    assert_eq!(
        cases.len(),
        libpq.len(),
        "libpq did not answer all questions"
    );
    let mut wrong = String::new();
    let mut taken = 0;
    for (case, libpq) in cases.iter().zip(libpq) {
        let ours = match ours(case) {
            Ok(values) => Answer::Taken(values),
            Err(error) => Answer::Refused(error.to_string()),
        };
        let as_expected = match (case.mark, &ours, libpq) {
            (None, Answer::Taken(ours), Answer::Taken(libpq)) => ours == libpq,
            (None, Answer::Refused(_), Answer::Refused(_)) => true,
            (Some(Mark::Differs), Answer::Refused(_), Answer::Taken(_)) => true,
            (Some(Mark::Answers), Answer::Taken(_), _) => ours != *libpq,
            _ => false,
        };
        taken += usize::from(matches!(ours, Answer::Taken(_)));
        if !as_expected {
            let (line, text, mark) = (case.line, visible(&case.text), case.mark);
            writeln!(
                wrong,
                "line {line} «{text}» {mark:?}\n  ours  {ours:?}\n  libpq {libpq:?}"
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "{name}.txt:\n{wrong}");
    assert!(taken * 3 > cases.len(), "hardly anything is taken at all");

    let file = data(&format!("{name}.expected"));
    let text = recorded(cases, libpq);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &text).unwrap();
    }
    let before = fs::read_to_string(&file).unwrap_or_default();
    for (before, now) in before.lines().zip(text.lines()) {
        assert_eq!(before, now, "{}; BLESS=1 rewrites it", file.display());
    }
    assert_eq!(
        before.len(),
        text.len(),
        "{}; BLESS=1 rewrites it",
        file.display()
    );
}

fn recorded(cases: &[Case], libpq: &[Answer]) -> String {
    let mut text = String::new();
    for (case, answer) in cases.iter().zip(libpq) {
        let home = case.home.to_str().unwrap();
        let shown = |value: &str| visible(&value.replace(home, "~"));
        writeln!(text, "{} «{}»", case.line, visible(&case.text)).unwrap();
        match answer {
            Answer::Refused(message) => {
                writeln!(text, "\trefused: {}", shown(message.trim_end())).unwrap();
            }
            Answer::Taken(values) => {
                for (name, value) in values {
                    writeln!(text, "\t{name}={}", shown(value)).unwrap();
                }
            }
        }
    }
    text
}

/// Text with `<0a>` for a byte.
fn bytes(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = text.split('<');
    bytes.extend_from_slice(parts.next().unwrap().as_bytes());
    for part in parts {
        let (byte, rest) = part.split_once('>').expect("a byte is written <0a>");
        bytes.extend(unhex(byte));
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}

fn visible(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if c == '<' || c.is_control() {
            write!(shown, "<{:02x}>", u32::from(c)).unwrap();
        } else {
            shown.push(c);
        }
    }
    shown
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}
