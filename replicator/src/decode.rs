//! Capture files in a readable form.

mod file;

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use walproto::capture::Body;

use crate::error::{Error, Result};
use crate::show::{Form, Renderer, located};
pub(crate) use file::CaptureFile;

/// What to do with which capture files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeConfig {
    /// The files, in the order in which they were recorded; compressed by gzip or not; `-` is standard input.
    pub files: Vec<PathBuf>,
    /// How changes are written.
    pub form: Form,
    /// Also show what is of the protocol's own business: relations, types, blocks, keepalives.
    pub everything: bool,
}

impl DecodeConfig {
    /// Shows these files as plain lines.
    pub fn new(files: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self {
            files: files.into_iter().map(Into::into).collect(),
            form: Form::Lines { color: false },
            everything: false,
        }
    }
}

/// Writes what is in capture files to `out`.
///
/// # Errors
///
/// A file that cannot be read, is no capture, ends in the middle of a record, or is damaged: what came before has been
/// written then. That whoever reads `out` went away is none.
pub fn decode(config: &DecodeConfig, out: impl Write) -> Result<()> {
    let out = BufWriter::with_capacity(64 << 10, out);
    let mut renderer = Renderer::new(config.form, out).everything(config.everything);
    let shown = show(&config.files, &mut renderer);
    let finished = renderer.finish();
    match (shown, finished) {
        (Err(Stop::Reader), _) => Ok(()),
        (Err(Stop::Error(error)), _) => Err(error),
        (Ok(()), Err(error)) if error.is_closed_pipe() => Ok(()),
        (Ok(()), finished) => finished.map(drop).map_err(Error::from),
    }
}

/// Why nothing more is shown.
enum Stop {
    Error(Error),
    /// Nobody reads it any more.
    Reader,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

fn show(files: &[PathBuf], renderer: &mut Renderer<impl Write>) -> Result<(), Stop> {
    for path in files {
        let mut file = CaptureFile::open(path)?;
        file.for_each(|record| {
            let (shown, content) = match record.body {
                Body::Session { session, fields } => {
                    (renderer.session(record.time, &session, fields), false)
                }
                Body::Frame(frame) => (renderer.frame(frame), true),
                _ => return Ok(()),
            };
            shown.map_err(|error| match error.is_closed_pipe() {
                true => Stop::Reader,
                false => Stop::Error(located(path, record.offset, content, error)),
            })
        })?;
    }
    Ok(())
}
