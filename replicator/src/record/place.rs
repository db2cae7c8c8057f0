//! Where a recording lies: the file being written, and the finished ones beside it.
//!
//! `FILE` is always the one being written. Finished ones are `FILE.000001`, `FILE.000002` and so on, and `FILE.000001.gz`
//! once they are compressed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::error::{Error, Result};

/// Names and folder of a recording.
#[derive(Clone, Debug)]
pub(super) struct Place {
    file: PathBuf,
    folder: PathBuf,
    name: String,
}

/// A finished file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    number: u64,
    compressed: bool,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new(file: &Path) -> Result<Self> {
        let shown = file.display();
        let Some(name) = file.file_name() else {
            return Err(Error::usage(format!("{shown:?} is not the name of a file")));
        };
        let Some(name) = name.to_str() else {
            return Err(Error::usage(format!(
                "the name of the file {shown} is not UTF-8"
            )));
        };
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        // Now, so that it stays the same folder, and for a clear error.
        let folder = folder.canonicalize().map_err(|error| {
            Error::usage(format!("the folder {} cannot be used", folder.display())).caused_by(error)
        })?;
        Ok(Self {
            file: folder.join(name),
            name: name.to_owned(),
            folder,
        })
    }

    /// The file being written.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Finished files, oldest first.
    pub(super) fn finished(&self) -> io::Result<Vec<Finished>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let suffix = name.and_then(|name| name.strip_prefix(&self.name)?.strip_prefix('.'));
            let Some(suffix) = suffix else { continue };
            let (digits, compressed) = match suffix.strip_suffix(".gz") {
                Some(digits) => (digits, true),
                None => (suffix, false),
            };
            let number = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = if number { digits.parse().ok() } else { None };
            if let Some(number) = number {
                all.push(Finished {
                    number,
                    compressed,
                    path,
                });
            }
        }
        // Of two with one number, which a crash can leave, the one that is not compressed is surely whole.
        all.sort_by_key(|finished| (finished.number, !finished.compressed));
        Ok(all)
    }

    /// Gives the file being written the next number. After a crash either name may be found, never both nor none.
    pub(super) fn finish(&self) -> io::Result<PathBuf> {
        let last = self
            .finished()?
            .last()
            .map_or(0, |finished| finished.number);
        let path = self.numbered(last + 1, "");
        fs::rename(&self.file, &path)?;
        self.sync()?;
        Ok(path)
    }

    fn numbered(&self, number: u64, extension: &str) -> PathBuf {
        self.folder
            .join(format!("{}.{number:06}{extension}", self.name))
    }

    /// Makes names durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    /// Compresses finished files that are not yet.
    ///
    /// Only finished ones: the file being written can then be checked and cut after a crash by anybody, and what is
    /// confirmed does not depend on what a compressor still holds. A crash leaves the file as it was, perhaps beside
    /// a half-written or a whole compressed one; it is compressed again.
    pub(super) fn compress(&self) -> io::Result<()> {
        for finished in self.finished()? {
            if finished.compressed {
                continue;
            }
            let target = self.numbered(finished.number, ".gz");
            let partial = self.numbered(finished.number, ".gz.partial");
            let mut from = File::open(&finished.path)?;
            let mut to = GzEncoder::new(File::create(&partial)?, Compression::default());
            io::copy(&mut from, &mut to)?;
            to.finish()?.sync_all()?;
            fs::rename(&partial, &target)?;
            // The name of the one before the other goes.
            self.sync()?;
            fs::remove_file(&finished.path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn finished_files_are_numbered_on_whatever_lies_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(&folder.path().join("a.capture")).unwrap();
        for other in [
            "a.capture.000009.gz",
            "a.capture.txt",
            "a.capture.12x",
            "a.capture.000010.gz.partial",
            "b.capture.000050",
        ] {
            fs::write(folder.path().join(other), "").unwrap();
        }
        for number in [10, 11] {
            fs::write(place.file(), "x").unwrap();
            let path = place.finish().unwrap();
            assert!(
                path.ends_with(format!("a.capture.0000{number}")),
                "{path:?}"
            );
        }
        let numbers: Vec<u64> = place
            .finished()
            .unwrap()
            .iter()
            .map(|finished| finished.number)
            .collect();
        assert_eq!(numbers, [9, 10, 11]);
    }

    #[test]
    fn compressing_goes_on_where_a_crash_ended_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(&folder.path().join("a")).unwrap();
        let put = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        // In the middle of the first; between rename and removal of the second; before the third.
        put("a.000001", "one");
        put("a.000001.gz.partial", "garbage");
        put("a.000002", "two");
        put("a.000002.gz", "whatever");
        put("a.000003", "three");
        place.compress().unwrap();
        assert_eq!(
            names(folder.path()),
            ["a.000001.gz", "a.000002.gz", "a.000003.gz"]
        );
        for (number, text) in [(1, "one"), (2, "two"), (3, "three")] {
            let path = folder.path().join(format!("a.00000{number}.gz"));
            let mut unpacked = String::new();
            GzDecoder::new(File::open(path).unwrap())
                .read_to_string(&mut unpacked)
                .unwrap();
            assert_eq!(unpacked, text);
        }
    }

    #[test]
    fn a_place_that_cannot_be_is_a_usage_error() {
        for path in ["/", "..", "/no/such/folder/file"] {
            let error = Place::new(Path::new(path)).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{path}");
        }
    }
}
