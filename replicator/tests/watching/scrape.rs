//! A scrape, read line by line by rules of our own: what the encoder of the library writes is not taken for granted.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use crate::common::{PATIENCE, Running};

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Where a run that was asked to listen at port 0 does.
pub(crate) fn address(running: &mut Running) -> String {
    const SAID: &str = "/livez and /readyz address=";
    running.until_it_says(SAID);
    let said = running.stderr();
    let (_, rest) = said.split_once(SAID).expect("it says so");
    rest.split_whitespace()
        .next()
        .expect("an address")
        .trim_matches('"')
        .to_owned()
}

pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends this and reads what comes until the other side ends the connection.
pub(crate) fn send(address: &str, request: &[u8]) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request).expect("a request");
    read(stream)
}

pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A connection that is reset has said before what it has to say, or nothing.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}

pub(crate) fn get(address: &str, path: &str) -> Answer {
    get_as(address, path, "*/*")
}

pub(crate) fn get_as(address: &str, path: &str, accept: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nAccept: {accept}\r\n\r\n");
    send(address, request.as_bytes())
}

/// Asks until the answer has this status, and gives it back.
pub(crate) fn until(running: &mut Running, address: &str, path: &str, status: u16) -> Answer {
    let mut last = get(address, path);
    let what = format!("{path} answers {status}");
    running.until(&what, || {
        last = get(address, path);
        last.status == status
    });
    last
}

/// Families of a scrape in the form of OpenMetrics.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    pub(crate) families: BTreeMap<String, Family>,
}

#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) help: String,
    pub(crate) kind: String,
    pub(crate) unit: Option<String>,
    /// Name and labels as written, and the value.
    pub(crate) samples: Vec<(String, f64)>,
}

impl Scrape {
    pub(crate) fn of(address: &str) -> Self {
        let answer = get_as(
            address,
            "/metrics",
            "application/openmetrics-text; version=1.0.0",
        );
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(
            answer
                .head
                .contains("content-type: application/openmetrics-text; version=1.0.0"),
            "{}",
            answer.head
        );
        Self::read(&answer.body)
    }

    pub(crate) fn read(text: &str) -> Self {
        let mut scrape = Self::default();
        assert!(text.ends_with("# EOF\n"), "cut off:\n{text}");
        let mut now = String::new();
        for line in text.lines().filter(|line| *line != "# EOF") {
            if let Some(rest) = line.strip_prefix("# ") {
                let mut words = rest.splitn(3, ' ');
                let mut word = || words.next().expect(line).to_owned();
                let (about, name, what) = (word(), word(), word());
                now.clone_from(&name);
                let family = scrape.families.entry(name).or_default();
                match about.as_str() {
                    "HELP" => family.help = what,
                    "TYPE" => family.kind = what,
                    "UNIT" => family.unit = Some(what),
                    _ => panic!("{line}"),
                }
                assert!(family.samples.is_empty(), "described twice: {line}");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').expect(line);
            let value = value.parse().expect(line);
            assert!(sample.starts_with(&*now), "{line} under {now}");
            let family = scrape.families.get_mut(&now).expect(line);
            assert!(
                !family.samples.iter().any(|(other, _)| other == sample),
                "twice: {line}"
            );
            family.samples.push((sample.to_owned(), value));
        }
        scrape
    }

    /// The value of a sample, by its name and labels as written.
    pub(crate) fn find(&self, sample: &str) -> Option<f64> {
        let mut all = self.families.values().flat_map(|it| &it.samples);
        all.find(|(name, _)| name == sample)
            .map(|(_, value)| *value)
    }

    pub(crate) fn value(&self, sample: &str) -> f64 {
        self.find(sample)
            .unwrap_or_else(|| panic!("no {sample} in {self:#?}"))
    }

    /// Names of samples, as queries have them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.families
            .values()
            .flat_map(|it| &it.samples)
            .map(|(name, _)| name.split('{').next().unwrap_or(name))
    }
}
