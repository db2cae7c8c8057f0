//! The file being written: opened, checked, cut, appended to, made durable, and followed by the next.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::time::SystemTime;

use walstream::walproto::capture::{self, Session, Streaming};
use walstream::walproto::{Frame, Lsn, Timestamp};

use super::carry::Carry;
use super::place::Place;
use super::survey::{Last, REACHED, Survey, survey};
use crate::error::{Error, Result};
use crate::fail_point;

/// A recording that was found, or begun, and is locked.
#[derive(Debug)]
pub(super) struct Found {
    place: Place,
    file: File,
    /// What the file holds.
    pub(super) survey: Survey,
    /// What it, or the newest finished one if it holds nothing, says.
    pub(super) last: Option<Last>,
}

impl Found {
    /// Opens the file, makes it if there is none, locks it and reads it.
    pub(super) fn open(place: Place) -> Result<Self> {
        let shown = place.file().display();
        let cannot = |error| Error::usage(format!("{shown} cannot be written")).caused_by(error);
        if place.file().metadata().is_ok_and(|data| !data.is_file()) {
            return Err(Error::usage(format!("{shown} is not a regular file"))
                .with_hint("a recording has to be on disk before the server is told of it"));
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(place.file())
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::retry(format!(
                    "{shown} is being written by another process"
                )));
            }
            Err(TryLockError::Error(error)) => return Err(cannot(error)),
        }
        let found = survey(place.file())?;
        if found.length > 0
            && let Some(error) = found.broken.filter(|_| found.good == 0)
            && !error.is_torn()
        {
            return Err(Error::usage(format!(
                "{shown} is not a capture file that can be continued"
            ))
            .with_hint("name another --output")
            .caused_by(error));
        }
        let mut last = found.last.clone();
        if last.is_none() {
            let failed = |error| {
                Error::retry(format!("the folder of {shown} cannot be read")).caused_by(error)
            };
            // A crash between the end of one file and the beginning of the next.
            if let Some(finished) = place.finished().map_err(failed)?.last() {
                last = survey(&finished.path)?.last;
            }
        }
        Ok(Self {
            last,
            survey: found,
            place,
            file,
        })
    }

    /// Where it stops being good, in words; `None` if it does not.
    pub(super) fn damage(&self) -> Option<String> {
        let Survey {
            broken,
            good,
            length,
            ..
        } = &self.survey;
        let error = broken.as_ref().filter(|_| *length > 0)?;
        Some(format!(
            "{}: {error}; {} of its {length} bytes are not good",
            self.place.file().display(),
            length - good
        ))
    }

    /// Cuts what is not good, and begins a session behind the rest; what comes before `reached` does not come again.
    pub(super) fn begin(
        self,
        asked: Asked,
        reached: Lsn,
        rotate: Option<u64>,
    ) -> Result<Recording> {
        let Self {
            place,
            mut file,
            survey,
            ..
        } = self;
        let failed = |error| failure(&place, error);
        file.set_len(survey.good).map_err(failed)?;
        file.seek(SeekFrom::Start(survey.good)).map_err(failed)?;
        let carry = Carry::new(asked.session().decoder());
        let mut recording = Recording {
            reached,
            place,
            file,
            buffer: Vec::new(),
            synced: survey.good,
            asked,
            carry,
            rotate,
            frames: 0,
        };
        if survey.good == 0 {
            capture::write_head(&mut recording.buffer);
        }
        recording.put_session(false)?;
        // What a process before us wrote may be in the system's cache only.
        recording.sync()?;
        recording
            .place
            .sync()
            .map_err(|error| failure(&recording.place, error))?;
        Ok(recording)
    }
}

/// What a session was asked for, and of whom.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) server_version_num: u32,
    pub(super) system_identifier: u64,
    pub(super) timeline: u32,
    /// The position in START_REPLICATION.
    pub(super) start: Lsn,
    pub(super) protocol: u8,
    pub(super) binary: bool,
    pub(super) streaming: Streaming,
    pub(super) options: String,
    pub(super) slot: String,
}

impl Asked {
    fn session(&self) -> Session<'_> {
        let mut session = Session::default();
        session.server_version_num = self.server_version_num;
        session.system_identifier = self.system_identifier;
        session.timeline = self.timeline;
        session.start = self.start;
        session.protocol = self.protocol;
        session.binary = self.binary;
        session.streaming = self.streaming;
        session.options = &self.options;
        session
    }
}

/// The file being written.
#[derive(Debug)]
pub(super) struct Recording {
    place: Place,
    file: File,
    /// What is not yet written.
    buffer: Vec<u8>,
    /// Length of the file, all of which is durable.
    synced: u64,
    asked: Asked,
    carry: Carry,
    rotate: Option<u64>,
    /// What the records say is in the files, those in `buffer` included.
    reached: Lsn,
    frames: u64,
}

impl Recording {
    /// Adds a frame, not durable yet; `reached` is how far its token goes.
    pub(super) fn push(
        &mut self,
        received_at: Timestamp,
        frame: &[u8],
        reached: Lsn,
    ) -> Result<()> {
        // A frame that cannot be read is recorded all the same: that is what a recording is for.
        if let Ok(Frame::WalData(wal)) = Frame::parse(frame)
            && let Err(error) = self.carry.see(wal.data)
        {
            tracing::warn!(%error, lsn = %wal.start, "recorded a message that cannot be read");
        }
        capture::write_frame(received_at, frame, &mut self.buffer).map_err(too_long)?;
        self.reached = self.reached.max(reached);
        self.frames += 1;
        Ok(())
    }

    /// Bytes that are not durable yet.
    pub(super) fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// How far the records go.
    pub(super) const fn reached(&self) -> Lsn {
        self.reached
    }

    /// Frames recorded since the start.
    pub(super) const fn frames(&self) -> u64 {
        self.frames
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the file is large enough, and the next can begin here.
    pub(super) fn is_full(&self) -> bool {
        let length = self.synced + self.buffer.len() as u64;
        self.rotate.is_some_and(|size| length >= size) && self.carry.at_rest()
    }

    /// Makes everything durable that was added. After an error the file is as it was before.
    pub(super) fn sync(&mut self) -> Result<()> {
        let written = self.file.write_all(&self.buffer);
        fail_point!("record-written");
        if let Err(error) = written.and_then(|()| self.file.sync_data()) {
            // A system may forget that a page could not be written and call the next attempt a success. What is not
            // in the file is sent again.
            if let Err(error) = self.file.set_len(self.synced) {
                tracing::warn!(%error, "the end of the file could not be cut off again");
            }
            return Err(failure(&self.place, error));
        }
        self.synced += self.buffer.len() as u64;
        self.buffer.clear();
        // A batch of large messages is not kept for the small ones.
        self.buffer.shrink_to(super::BATCH + (1 << 20));
        Ok(())
    }

    /// Ends the file and begins the next, which can be read by itself: what was announced stands at its beginning.
    pub(super) fn rotate(&mut self) -> Result<()> {
        self.sync()?;
        let failed = |place: &Place, error| failure(place, error);
        let path = self
            .place
            .finish()
            .map_err(|error| failed(&self.place, error))?;
        fail_point!("record-renamed");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.place.file())
            .map_err(|error| failed(&self.place, error))?;
        if let Err(error) = file.try_lock() {
            return Err(failed(&self.place, error.into()));
        }
        fail_point!("record-begun");
        self.file = file;
        self.synced = 0;
        capture::write_head(&mut self.buffer);
        self.put_session(true)?;
        let now = now();
        for message in self.carry.messages() {
            // As the server sends them, without positions.
            let mut frame = Vec::with_capacity(25 + message.len());
            frame.push(b'w');
            frame.extend([0; 24]);
            frame.extend(message);
            capture::write_frame(now, &frame, &mut self.buffer).map_err(too_long)?;
        }
        self.sync()?;
        self.place
            .sync()
            .map_err(|error| failed(&self.place, error))?;
        tracing::info!(file = %path.display(), "finished a file");
        Ok(())
    }

    fn put_session(&mut self, continued: bool) -> Result<()> {
        let reached = self.reached.to_string();
        let mut session = self.asked.session();
        session.continued = continued;
        let more = [("slot", &*self.asked.slot), (REACHED, &*reached)];
        session
            .write(now(), &more, &mut self.buffer)
            .map_err(too_long)
    }
}

fn failure(place: &Place, error: io::Error) -> Error {
    let shown = place.file().display();
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    let failed = if full {
        Error::retry(format!("no room for {shown}"))
    } else {
        Error::retry(format!("{shown} cannot be written"))
    };
    failed
        .with_hint(
            "make room and start again: nothing is lost, the server sends again what is not in the file",
        )
        .caused_by(error)
}

fn too_long(error: capture::TooLong) -> Error {
    Error::person("a message is too long for a capture file").caused_by(error)
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros())
        .ok()
        .and_then(Timestamp::from_unix_micros)
        .unwrap_or_default()
}
