//! Every type, every statement, every identity, on every server: the place holds what the source holds.

use testdata::Version;

use crate::place::Place;
use crate::stage::Stage;

const SCHEMA: &str = include_str!("../../equality/schema.sql");
const BEFORE: &str = include_str!("../../equality/before.sql");
const TYPES: &str = include_str!("../../equality/types.sql");
const STATEMENTS: &str = include_str!("../../equality/statements.sql");
const TRUNCATE: &str = include_str!("../../equality/truncate.sql");

fn everything_arrives<P: Place>(version: Version) {
    let options = [&["--keyless", "full"], P::EXACT].concat();
    let mut stage = Stage::<P>::told(version, &options);
    stage.play(&fitting::<P>(SCHEMA));
    stage.play(&fitting::<P>(BEFORE));

    // Copied.
    stage.follow();
    assert_eq!(stage.names().len(), 53, "{:?}", stage.names());
    // Again, with nothing to do.
    stage.follow();

    // Streamed after the fact, and again with the same rows once more.
    stage.follow_through(&fitting::<P>(TYPES));

    // Streamed while it happens, then ended as a service is.
    let running = stage.stream();
    // Prepared transactions have names on which a whole server agrees.
    let name = format!("'{}'", stage.database);
    stage.play(&fitting::<P>(STATEMENTS).replace("'equality'", &name));
    let finished = running.terminate();
    assert_eq!(finished.code, Some(0), "{}", finished.log);
    stage.follow();

    stage.follow_through(&fitting::<P>(TRUNCATE));
}

fn fitting<P: Place>(script: &str) -> String {
    let replace = |script: String, (what, by): &(&str, &str)| script.replace(what, by);
    P::REPLACED.iter().fold(script.to_owned(), replace)
}

pub(crate) fn from_14<P: Place>() {
    everything_arrives::<P>(Version::V14);
}

pub(crate) fn from_15<P: Place>() {
    everything_arrives::<P>(Version::V15);
}

pub(crate) fn from_16<P: Place>() {
    everything_arrives::<P>(Version::V16);
}

pub(crate) fn from_17<P: Place>() {
    everything_arrives::<P>(Version::V17);
}

pub(crate) fn from_18<P: Place>() {
    everything_arrives::<P>(Version::V18);
}
