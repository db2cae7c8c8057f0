//! Files that appear whole, each named after the position that it reaches.

use std::fs::{self, File};
use std::io::Result;
use std::path::Path;

use walstream::walproto::Lsn;

/// The position that the last file reaches; 0/0 where there is none.
pub(crate) fn last(folder: &Path) -> Result<Lsn> {
    let mut last = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jsonl"));
        let number = number.and_then(|number| u64::from_str_radix(number, 16).ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(Lsn(last))
}

/// Makes durable what comes behind the last file, up to `position`.
pub(crate) fn store(folder: &Path, lines: &str, position: Lsn) -> Result<()> {
    let name = |position: Lsn| folder.join(format!("{:016X}.jsonl", position.0));
    let last = last(folder)?;
    if lines.is_empty() && !last.is_zero() {
        // Nothing but a position: the last file reaches it now.
        fs::rename(name(last), name(position))?;
    } else {
        let draft = folder.join("draft");
        fs::write(&draft, lines)?;
        File::open(&draft)?.sync_all()?;
        fs::rename(draft, name(position))?;
    }
    File::open(folder)?.sync_all()
}
