//! SQLSTATEs of PostgreSQL as a destination; errcodes.txt has them all.

use super::Course;

/// A whole code, or the class that it begins with; a whole one counts first.
pub(super) const TABLE: &[(&str, Course)] = &[
    ("55P03", Course::Lock),
    ("53100", Course::Room),
    // In another state than the statement needs: in use, or a session that is ended for being idle.
    ("55006", Course::Again),
    ("25P03", Course::Again),
    // A server that took changes when it was opened, so it may be one that is to take them again.
    ("25006", Course::Primary),
    ("42501", Course::Rights),
    ("22007", Course::Infinite),
    // A table, a column or a function that is not there any more, or another type.
    ("42P01", Course::Definition),
    ("42703", Course::Definition),
    ("42804", Course::Definition),
    ("42883", Course::Definition),
    ("3F000", Course::Definition),
    // A lost or refused connection, a deadlock or serialization failure, resources, an operator's intervention, an error of
    // the system or of the server itself.
    ("08", Course::Again),
    ("40", Course::Again),
    ("53", Course::Again),
    ("57", Course::Again),
    ("58", Course::Again),
    ("XX", Course::Again),
    ("28", Course::Login),
    ("3D", Course::Login),
    // Classes whose errors say nothing about a row.
    ("00", Course::Person),
    ("01", Course::Person),
    ("02", Course::Person),
    ("03", Course::Person),
    ("0A", Course::Person),
    ("0B", Course::Person),
    ("0F", Course::Person),
    ("0L", Course::Person),
    ("0P", Course::Person),
    ("0Z", Course::Person),
    ("10", Course::Person),
    ("20", Course::Person),
    ("24", Course::Person),
    ("25", Course::Person),
    ("26", Course::Person),
    ("2B", Course::Person),
    ("2D", Course::Person),
    ("34", Course::Person),
    ("3B", Course::Person),
    ("3F", Course::Person),
    ("42", Course::Person),
    ("55", Course::Person),
    ("72", Course::Person),
    ("F0", Course::Person),
    ("HV", Course::Person),
    // Data exceptions, constraints, a view's check, what a trigger or function raises, limits such as that of an index's row.
    ("22", Course::Row),
    ("23", Course::Row),
    ("44", Course::Row),
    ("54", Course::Row),
    ("P0", Course::Row),
];

/// A class that the server does not have is one that somebody's trigger chose.
pub(super) const OTHERS: Course = Course::Row;

pub(super) fn course(sqlstate: &str) -> Course {
    if sqlstate.len() != 5 {
        return Course::Person;
    }
    let class = sqlstate.get(..2).unwrap_or_default();
    let of = |code: &str| TABLE.iter().find(|(listed, _)| *listed == code);
    let found = of(sqlstate).or_else(|| of(class));
    found.map_or(OTHERS, |(_, course)| *course)
}
