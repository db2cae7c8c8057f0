//! Records the captures of this crate anew: `cargo run -p testdata --bin retake [-- VERSION…]`.
//!
//! Starts every server version, plays every scenario at every protocol version, as text and binary, and writes
//! what the server sent beside what it means. A recording whose meaning is not what SELECT says is an error.

mod replay;
mod scenarios;
mod scene;

use std::error::Error;
use std::fs;
use std::process::ExitCode;

use testdata::capture::{Capture, captures_folder};
use testdata::{Client, Server, Version, expected};

use replay::Replay;
use scenarios::Scenario;
use scene::{Emitted, Leg, Scene};

fn main() -> ExitCode {
    let mut versions = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.parse().ok().and_then(Version::of) {
            Some(version) => versions.push(version),
            None => {
                eprintln!(
                    "retake: '{argument}' is not a version; give some of 14 to 18, or none for all"
                );
                return ExitCode::from(2);
            }
        }
    }
    if versions.is_empty() {
        versions = Version::ALL.into();
    }
    for version in versions {
        if let Err(error) = retake(version) {
            eprintln!("retake: PostgreSQL {version}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn retake(version: Version) -> Result<(), Box<dyn Error>> {
    // Autovacuum would send Relations again at moments of its own choice.
    let server = Server::builder(version)
        .setting("autovacuum", "off")
        .setting("track_commit_timestamp", "on")
        .start();
    let folder = captures_folder().join(format!("pg{version}"));
    let mut files = Vec::new();
    for scenario in scenarios::ALL {
        for leg in Leg::all(version) {
            let Some(immediate) = scenario.immediate(leg) else {
                continue;
            };
            let name = format!("{}_{}", scenario.name, leg.suffix());
            let (capture, lines) = record(&server, scenario, leg, immediate)
                .map_err(|error| format!("{name}: {error}"))?;
            let path = folder.join(&name);
            let contents = capture.to_bytes();
            if Capture::sessions(&contents)? != [capture] {
                return Err(format!("{name}: cannot be read back").into());
            }
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            files.push((path.with_extension("capture"), contents));
            files.push((path.with_extension("txt"), text.into_bytes()));
        }
    }
    // Only now that all is well: the old ones stay until then.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for (path, contents) in &files {
        fs::write(path, contents)?;
    }
    let bytes: usize = files.iter().map(|(_, contents)| contents.len()).sum();
    println!(
        "PostgreSQL {version}: {} captures, {} kB",
        files.len() / 2,
        bytes / 1024
    );
    Ok(())
}

fn record(
    server: &Server,
    scenario: &Scenario,
    leg: Leg,
    immediate: bool,
) -> Result<(Capture, Vec<String>), Box<dyn Error>> {
    let database = format!("{}_{}", scenario.name, leg.suffix());
    let mut scene = Scene::open(
        server,
        leg,
        &database,
        &(scenario.setup)(leg.version),
        &(scenario.backlog)(),
        scenario.publications,
        immediate,
    )?;
    (scenario.play)(&mut scene)?;
    let emitted = std::mem::take(&mut scene.emitted);
    let (capture, mut client) = scene.close(scenario.name)?;
    if capture.header.server_version_num / 10_000 != leg.version.major() {
        return Err("another version answers".into());
    }
    let lines = expected::lines(&capture)?;
    let replay = Replay::of(&capture)?;
    replay.compare(&mut client, leg.binary, &(scenario.checks)(leg.version))?;
    if replay.binary != capture.header.binary {
        return Err("columns do not come in the form that was asked for".into());
    }
    compare_commits(&replay, &mut client)?;
    compare_messages(&replay, &emitted)?;
    for kind in (scenario.must_show)(leg) {
        if !replay.counts.contains_key(kind) {
            return Err(format!("no {kind} came").into());
        }
    }
    Ok((capture, lines))
}

/// The server remembers when each transaction committed.
fn compare_commits(replay: &Replay, client: &mut Client) -> Result<(), Box<dyn Error>> {
    for (xid, time) in &replay.commits {
        let truth = client.value(&format!(
            "SELECT (extract(epoch FROM pg_xact_commit_timestamp('{xid}') - '2000-01-01') * 1000000)::bigint"
        ))?;
        if truth != time.to_string() {
            return Err(format!("transaction {xid} committed at {truth}, not at {time}").into());
        }
    }
    Ok(())
}

/// Each logical message that took effect came once; one rolled back to a savepoint may have come.
fn compare_messages(replay: &Replay, emitted: &[Emitted]) -> Result<(), String> {
    let mut came = replay.messages.clone();
    for Emitted { message, kept } in emitted {
        match came.iter().position(|other| other == message) {
            Some(place) => {
                came.remove(place);
            }
            None if *kept => return Err(format!("{message:?} did not come")),
            None => {}
        }
    }
    match came.first() {
        None => Ok(()),
        Some(message) => Err(format!("{message:?} came, which nobody wrote")),
    }
}
