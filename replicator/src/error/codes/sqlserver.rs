//! Error numbers of SQL Server and of Azure SQL.

use std::ops::RangeInclusive;

use super::{Course, ErrorKind};

/// Severities from here on end the session.
pub(super) const FATAL: u8 = 20;

/// The first that holds a number counts.
pub(super) const TABLE: &[(RangeInclusive<u32>, Course)] = &[
    (1222..=1222, Course::Lock),
    // The log, a file group, all of Azure's quota.
    (9002..=9002, Course::Room),
    (1105..=1105, Course::Room),
    (1101..=1101, Course::Room),
    (40544..=40544, Course::Room),
    // A server that took changes when it was opened, so it may be one that is to take them again.
    (3906..=3906, Course::Primary),
    (3908..=3908, Course::Primary),
    // A deadlock, and rows that changed under us.
    (1205..=1205, Course::Again),
    (3960..=3961, Course::Again),
    (41301..=41302, Course::Again),
    (41305..=41305, Course::Again),
    (41325..=41325, Course::Again),
    (41839..=41839, Course::Again),
    // Locks, memory, threads, connections.
    (701..=701, Course::Again),
    (802..=802, Course::Again),
    (1204..=1204, Course::Again),
    (8628..=8628, Course::Again),
    (8645..=8645, Course::Again),
    (8651..=8651, Course::Again),
    (10928..=10929, Course::Again),
    (17809..=17810, Course::Again),
    // A database that is being recovered, restored, moved or used by one; a replica that does not serve yet.
    (921..=922, Course::Again),
    (924..=924, Course::Again),
    (927..=927, Course::Again),
    (952..=952, Course::Again),
    (976..=976, Course::Again),
    (983..=983, Course::Again),
    (18401..=18401, Course::Again),
    (18451..=18451, Course::Again),
    (18461..=18461, Course::Again),
    // A server that is paused or not ready yet; Azure's own words for that and for too much load.
    (17142..=17142, Course::Again),
    (17187..=17187, Course::Again),
    (40143..=40143, Course::Again),
    (40197..=40197, Course::Again),
    (40501..=40501, Course::Again),
    (40540..=40540, Course::Again),
    (40613..=40613, Course::Again),
    (42108..=42109, Course::Again),
    (49918..=49920, Course::Again),
    // A connection that breaks underneath, a killed session, a shutdown.
    (64..=64, Course::Again),
    (233..=233, Course::Again),
    (10053..=10054, Course::Again),
    (10060..=10060, Course::Again),
    (596..=596, Course::Again),
    (6005..=6006, Course::Again),
    (18452..=18452, Course::Login),
    (18456..=18456, Course::Login),
    (18470..=18470, Course::Login),
    (18486..=18488, Course::Login),
    (911..=911, Course::Database),
    (916..=916, Course::Database),
    (4060..=4060, Course::Database),
    (4064..=4064, Course::Database),
    (40532..=40532, Course::Database),
    (40615..=40615, Course::Firewall),
    (40914..=40914, Course::Firewall),
    (229..=230, Course::Rights),
    (262..=262, Course::Rights),
    (297..=297, Course::Rights),
    (300..=300, Course::Rights),
    (1088..=1088, Course::Rights),
    (2760..=2760, Course::Rights),
    // No such column, no such object.
    (207..=208, Course::Definition),
    // Keys, NOT NULL, foreign keys and checks, views with a check.
    (2627..=2627, Course::Row),
    (2601..=2601, Course::Row),
    (515..=515, Course::Row),
    (547..=547, Course::Row),
    (550..=550, Course::Row),
    // Cut, out of range, of another form: numbers, dates, identifiers, XML.
    (8152..=8152, Course::Row),
    (2628..=2628, Course::Row),
    (220..=220, Course::Row),
    (232..=232, Course::Row),
    (241..=242, Course::Row),
    (245..=245, Course::Row),
    (248..=248, Course::Row),
    (295..=296, Course::Row),
    (517..=517, Course::Row),
    (8114..=8115, Course::Row),
    (8134..=8134, Course::Row),
    (8169..=8169, Course::Row),
    (9400..=9499, Course::Row),
    // A row or a key too large for its page.
    (511..=511, Course::Row),
    (1946..=1946, Course::Row),
    // What somebody's trigger raises.
    (3609..=3609, Course::Row),
    (50000..=u32::MAX, Course::Row),
];

/// What Babelfish for PostgreSQL gives every error of PostgreSQL's that has no number here. SQL Server has no such error
/// of its own; somebody's trigger may raise it.
pub(crate) const UNMAPPED: u32 = 33_557_097;

/// Of a session that the server has ended, or of a server that is not there yet.
const FAREWELLS: [&str; 2] = ["terminating connection", "the database system is"];

/// How PostgreSQL's words for such an error begin and end, in English; what stands in between may be anybody's. The first
/// counts.
pub(super) const WORDS: &[(&str, &str, Course)] = &[
    ("canceling statement", "due to lock timeout", Course::Lock),
    ("canceling statement due to", "", Course::Again),
    (FAREWELLS[0], "", Course::Again),
    (FAREWELLS[1], "", Course::Again),
    ("could not serialize access", "", Course::Again),
    ("sorry, too many clients", "", Course::Again),
    ("remaining connection slots", "", Course::Again),
    ("out of memory", "", Course::Again),
    ("could not extend file", "", Course::Room),
    ("could not write", "No space left on device", Course::Room),
    (
        "cannot execute",
        "in a read-only transaction",
        Course::Primary,
    ),
    ("password authentication failed", "", Course::Login),
    ("permission denied", "", Course::Rights),
    ("must be owner of", "", Course::Rights),
    ("relation ", "does not exist", Course::Definition),
    ("column ", "does not exist", Course::Definition),
    ("schema ", "does not exist", Course::Definition),
    ("invalid input syntax", "", Course::Row),
    ("invalid byte sequence", "", Course::Row),
    ("value ", "", Course::Row),
    ("date/time field value", "", Course::Row),
    ("", "out of range", Course::Row),
    ("numeric field overflow", "", Course::Row),
    ("index row size", "", Course::Row),
    ("new row for", "", Course::Row),
    ("Error converting", "", Course::Row),
];

/// What to do about an [`UNMAPPED`] error in these words.
pub(super) fn course_of_words(message: &str) -> Course {
    let said =
        |(begin, end, _): &&(&str, &str, _)| message.starts_with(begin) && message.ends_with(end);
    let found = WORDS.iter().find(said);
    found.map_or(Course::Person, |(_, _, course)| *course)
}

/// Whether an [`UNMAPPED`] error in these words ends its session.
pub(crate) fn says_farewell(message: &str) -> bool {
    FAREWELLS.iter().any(|words| message.starts_with(words))
}

pub(super) fn course(number: u32, severity: u8) -> Course {
    let mut numbers = TABLE.iter();
    let found = numbers.find(|(range, _)| range.contains(&number));
    match found {
        Some((_, course)) if severity < FATAL || course.kind() != ErrorKind::Person => *course,
        // It ended the session, for whatever reason; another may do.
        _ if severity >= FATAL => Course::Again,
        _ => Course::Person,
    }
}
