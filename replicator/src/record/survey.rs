//! What a capture file holds already: how far it reaches, of which cluster, and where it stops being good.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use walstream::walproto::Lsn;
use walstream::walproto::capture::{Body, CaptureError, Reader};

use crate::error::{Error, Result};

/// The session record's own key for the position up to which everything lies in earlier records or files.
pub(super) const REACHED: &str = "reached";

/// How much is read at once; more where a record is larger.
const PART: usize = 1 << 20;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// Its last session; `None` without any.
    pub(super) last: Option<Last>,
    /// Up to here it is good.
    pub(super) good: u64,
    /// Its length.
    pub(super) length: u64,
    /// Why it is not good to its end.
    pub(super) broken: Option<CaptureError>,
}

/// What has to fit when a file is continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) system_identifier: u64,
    pub(super) timeline: u32,
    /// Everything that committed or was prepared before it is in this file or an earlier one.
    pub(super) reached: Lsn,
}

/// Reads a file, compressed or not, from its beginning to its end or to where it is broken.
pub(super) fn survey(path: &Path) -> Result<Survey> {
    let failed = |error: io::Error| {
        Error::retry(format!("{} cannot be read", path.display())).caused_by(error)
    };
    let file = File::open(path).map_err(failed)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        return walk(MultiGzDecoder::new(file), PART).map_err(failed);
    }
    walk(file, PART).map_err(failed)
}

fn walk(mut file: impl Read, mut part_size: usize) -> io::Result<Survey> {
    let mut survey = Survey::default();
    // What was read and not used yet; begins at `survey.good`.
    let mut part = Vec::new();
    loop {
        let more = file
            .by_ref()
            .take(part_size as u64)
            .read_to_end(&mut part)? as u64;
        survey.length += more;
        let reader = if survey.good == 0 {
            Reader::new(&part)
        } else {
            Ok(Reader::at(&part, survey.good))
        };
        let begin = survey.good;
        let error = match reader {
            Ok(reader) => take(reader, &mut survey),
            Err(error) => Some(error),
        };
        match error {
            // Perhaps only this part ends there.
            Some(error) if error.is_torn() && more > 0 => {
                let used = usize::try_from(survey.good - begin).unwrap_or(part.len());
                part.drain(..used.min(part.len()));
                // A record longer than what is read at once doubles that rather than being read again and again.
                part_size = part_size.max(part.len());
            }
            Some(error) => {
                survey.broken = Some(error);
                survey.length += io::copy(&mut file, &mut io::sink())?;
                return Ok(survey);
            }
            None if more == 0 => return Ok(survey),
            None => part.clear(),
        }
    }
}

/// Takes whole records; the error says where it had to stop.
fn take(mut reader: Reader<'_>, survey: &mut Survey) -> Option<CaptureError> {
    survey.good = reader.offset();
    loop {
        let record = match reader.next() {
            None => return None,
            Some(Ok(record)) => record,
            Some(Err(error)) => return Some(error),
        };
        match record.body {
            Body::Session { session, fields } => {
                // Of another recorder there is only what its frames say.
                let told = fields.value(REACHED).and_then(|lsn| lsn.parse().ok());
                let before = survey.last.as_ref().map_or(Lsn::ZERO, |last| last.reached);
                survey.last = Some(Last {
                    system_identifier: session.system_identifier,
                    timeline: session.timeline,
                    reached: before.max(told.unwrap_or(Lsn::ZERO)),
                });
            }
            Body::Frame(bytes) => {
                // What cannot be read says nothing; it was recorded as it came.
                let reached = walstream::reached(bytes).ok().flatten();
                if let (Some(last), Some(reached)) = (&mut survey.last, reached) {
                    last.reached = last.reached.max(reached);
                }
            }
            _ => {}
        }
        survey.good = reader.offset();
    }
}

#[cfg(test)]
mod tests {
    use testdata::writer;
    use walstream::walproto::Timestamp;
    use walstream::walproto::capture::{Session, write_frame, write_head};

    use super::*;

    /// A file, where its records end, and how far one is there.
    fn file() -> (Vec<u8>, Vec<(usize, Lsn)>) {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        write_head(&mut bytes);
        let mut session = Session::default();
        session.system_identifier = 7;
        session.timeline = 3;
        session
            .write(Timestamp(0), &[(REACHED, "0/40")], &mut bytes)
            .unwrap();
        ends.push((bytes.len(), Lsn(0x40)));
        let wal = |message: &[u8]| writer::wal_data(9999, 9999, 0, message);
        let frames = [
            (wal(&writer::begin(0x80, 0, 5)), 0x40),
            (wal(&writer::insert(None, 1, &[])), 0x40),
            (wal(&writer::commit(0, 0x80, 0x88, 0)), 0x88),
            (writer::keepalive(0x100, 0, 0), 0x100),
            (b"x what nobody knows".to_vec(), 0x100),
            (wal(b"C, and this is no commit"), 0x100),
            (writer::keepalive(0x90, 0, 0), 0x100),
        ];
        for (frame, reached) in frames {
            write_frame(Timestamp(1), &frame, &mut bytes).unwrap();
            ends.push((bytes.len(), Lsn(reached)));
        }
        (bytes, ends)
    }

    #[test]
    fn a_file_that_was_cut_anywhere_is_good_up_to_its_last_whole_record() {
        const HEAD: usize = 10;
        let (bytes, ends) = file();
        for cut in 0..=bytes.len() {
            for part in [1, 7, 64, 10_000] {
                let survey = walk(&bytes[..cut], part).unwrap();
                let last = ends.iter().rfind(|(end, _)| *end <= cut);
                let good = last.map_or(if cut < HEAD { 0 } else { HEAD }, |(end, _)| *end);
                assert_eq!(
                    (survey.good, survey.length),
                    (good as u64, cut as u64),
                    "cut at {cut}, read by {part}"
                );
                let reached = survey.last.as_ref().map(|last| last.reached);
                assert_eq!(reached, last.map(|(_, reached)| *reached), "cut at {cut}");
                assert_eq!(
                    survey.broken.is_none(),
                    good == cut && cut >= HEAD,
                    "cut at {cut}"
                );
                assert!(survey.broken.is_none_or(|error| error.is_torn()));
                if let Some(last) = survey.last {
                    assert_eq!((last.system_identifier, last.timeline), (7, 3));
                }
            }
        }
    }

    #[test]
    fn damage_is_no_torn_end() {
        let (bytes, ends) = file();
        let (second, _) = ends[1];
        for at in second..ends[2].0 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1;
            for part in [1, 64, 10_000] {
                let survey = walk(&bytes[..], part).unwrap();
                let broken = survey.broken.expect("damage is found");
                assert!(!broken.is_torn(), "byte {at}, read by {part}: {broken}");
                assert_eq!(
                    (survey.good, survey.length),
                    (second as u64, bytes.len() as u64)
                );
            }
        }
    }
}
