//! Dates, times, moments and spans.

use walproto::Timestamp;
use walproto::value::{Date, Interval, LocalTimestamp, Time, TimeTz};

use crate::printed::printed;

/// One value, read as each of the types in both forms.
pub fn moments(data: &[u8]) {
    printed!(
        data,
        Date,
        Time,
        TimeTz,
        LocalTimestamp,
        Timestamp,
        Interval
    );
}
