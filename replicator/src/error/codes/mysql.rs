//! Error numbers of MySQL and MariaDB, and the classes of SQLSTATE for those that are not listed.

use std::ops::RangeInclusive;

use super::Course;

/// The first that holds a number counts.
pub(super) const TABLE: &[(RangeInclusive<u16>, Course)] = &[
    (1205..=1205, Course::Lock),
    // 20 is the server's own number for a full disk; 1021 a full disk, 1114 a full table.
    (20..=20, Course::Room),
    (1021..=1021, Course::Room),
    (1114..=1114, Course::Room),
    // Those below 1000 are of files and memory.
    (1..=999, Course::Again),
    // A deadlock, and rows that changed under us.
    (1213..=1213, Course::Again),
    (1020..=1020, Course::Again),
    // Memory and connections.
    (1037..=1041, Course::Again),
    (1203..=1203, Course::Again),
    (1226..=1226, Course::Again),
    // An operator's intervention, and a statement that took too long.
    (1317..=1317, Course::Again),
    (1969..=1969, Course::Again),
    (3024..=3024, Course::Again),
    // The system, and a commit that failed.
    (1026..=1026, Course::Again),
    (1030..=1030, Course::Again),
    (1180..=1181, Course::Again),
    // Shutdown, a killed session, one that was idle for too long, a broken packet.
    (1053..=1053, Course::Again),
    (1077..=1077, Course::Again),
    (1079..=1079, Course::Again),
    (1152..=1152, Course::Again),
    (1156..=1161, Course::Again),
    (1184..=1184, Course::Again),
    (1927..=1927, Course::Again),
    (3169..=3169, Course::Again),
    (4031..=4031, Course::Again),
    // User, password, database, address.
    (1044..=1045, Course::Login),
    (1049..=1049, Course::Login),
    (1130..=1131, Course::Login),
    (1251..=1251, Course::Login),
    (1396..=1396, Course::Login),
    (1698..=1698, Course::Login),
    (3159..=3159, Course::Encryption),
    (4151..=4151, Course::Encryption),
    // Rights to tables, columns, routines and settings.
    (1142..=1143, Course::Rights),
    (1227..=1227, Course::Rights),
    (1370..=1370, Course::Rights),
    (1410..=1410, Course::Rights),
    // A server that took changes when it was opened, so it may be one that is to take them again.
    (1290..=1290, Course::Primary),
    (1792..=1792, Course::Primary),
    (1836..=1836, Course::Primary),
    (3100..=3100, Course::Primary),
    (1153..=1153, Course::Packet),
    // No such table, no such column.
    (1146..=1146, Course::Definition),
    (1054..=1054, Course::Definition),
    // Of a row, and without a class that says so: a value that its type does not know, one cut, a check, a row too large,
    // what a trigger raises.
    (1366..=1366, Course::Row),
    (1265..=1265, Course::Row),
    (3819..=3819, Course::Row),
    (1118..=1118, Course::Row),
    (1644..=1644, Course::Row),
];

/// Data, constraints, a view's check, what somebody's trigger raises.
pub(super) const CLASSES: &[(&str, Course)] = &[
    ("22", Course::Row),
    ("23", Course::Row),
    ("44", Course::Row),
    ("45", Course::Row),
];

pub(super) fn course(number: u16, sqlstate: &str) -> Course {
    let mut numbers = TABLE.iter();
    if let Some((_, course)) = numbers.find(|(range, _)| range.contains(&number)) {
        return *course;
    }
    let class = sqlstate.get(..2).unwrap_or_default();
    let mut classes = CLASSES.iter();
    let found = classes.find(|(listed, _)| *listed == class);
    found.map_or(Course::Person, |(_, course)| *course)
}
