//! How much more a database takes: what its files have left, what they may grow by, and what its edition allows.

use tiberius::Row;

use super::session::{Session, column};
use crate::dialect::sqlserver::catalog;
use crate::error::Result;

/// Bytes of a page.
const PAGE: u64 = 8192;

/// Express, and the bytes that a database of it may take.
const EXPRESS: (i32, u64) = (4, 10 << 30);

/// A file for rows, in pages.
#[derive(Clone, Copy, Debug)]
struct File {
    size: u64,
    used: u64,
    /// None where it has no bound.
    most: Option<u64>,
    grows: bool,
}

/// Bytes, or none where it cannot be known.
pub(super) async fn room(db: &mut Session) -> Option<u64> {
    let edition = db.server.database.as_ref().map_or(0, |it| it.edition);
    let rows = db.rows(catalog::FILES, Vec::new()).await.ok()?;
    let files: Vec<File> = rows.iter().map(file).collect::<Result<_>>().ok()?;
    // Who may not see other sessions does not see the disks either.
    let disks = db.rows(catalog::DISKS, Vec::new()).await.ok();
    let disks = disks.filter(|rows| !rows.is_empty()).and_then(|rows| {
        let free = rows.iter().map(|row| number(row, 1).ok().flatten());
        free.sum()
    });
    let whole = match edition {
        _ if edition == EXPRESS.0 => Some(EXPRESS.1),
        _ => {
            let rows = db.rows(catalog::BOUGHT, Vec::new()).await.ok();
            rows.and_then(|rows| number(rows.first()?, 0).ok().flatten())
        }
    };
    left(&files, disks, whole)
}

fn file(row: &Row) -> Result<File> {
    let pages = |at| number(row, at).map(Option::unwrap_or_default);
    Ok(File {
        size: pages(0)?,
        used: pages(1)?,
        most: number(row, 2)?,
        grows: pages(3)? > 0,
    })
}

/// None where there is none, or a negative one.
fn number(row: &Row, at: usize) -> Result<Option<u64>> {
    let number = column::<Option<i64>>(row, at)?;
    Ok(number.and_then(|number| u64::try_from(number).ok()))
}

/// What is free in the files, and what they may grow by: up to their bounds, to what their disks have, and to what the
/// database may take as a whole.
fn left(files: &[File], disks: Option<u64>, whole: Option<u64>) -> Option<u64> {
    if files.is_empty() {
        return None;
    }
    let within: u64 = files.iter().map(|it| it.size.saturating_sub(it.used)).sum();
    let taken: u64 = files.iter().map(|it| it.size).sum();
    let growth = files.iter().map(|it| match it.most {
        _ if !it.grows => Some(0),
        most => most.map(|most| most.saturating_sub(it.size) * PAGE),
    });
    let bounds = [
        growth.sum::<Option<u64>>(),
        disks,
        whole.map(|whole| whole.saturating_sub(taken * PAGE)),
    ];
    let growth = bounds.into_iter().flatten().min()?;
    Some(within * PAGE + growth)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_every_bound_allows() {
        let file = File {
            size: 1000,
            used: 900,
            most: None,
            grows: true,
        };
        // Without a bound, on a disk that nobody may see.
        assert_eq!(left(&[file], None, None), None);
        assert_eq!(left(&[], Some(7), Some(7)), None);
        assert_eq!(left(&[file], Some(5), None), Some(100 * PAGE + 5));
        let bound = File {
            most: Some(1010),
            ..file
        };
        let fixed = File {
            grows: false,
            ..file
        };
        assert_eq!(left(&[bound], None, None), Some(110 * PAGE));
        assert_eq!(left(&[bound], Some(PAGE), None), Some(101 * PAGE));
        assert_eq!(left(&[fixed, bound], None, None), Some(210 * PAGE));
        assert_eq!(left(&[fixed], Some(PAGE), None), Some(100 * PAGE));
        // One that has no bound has none with one that has.
        assert_eq!(left(&[file, bound], None, None), None);
        let whole = Some(1002 * PAGE);
        assert_eq!(left(&[file], Some(9 * PAGE), whole), Some(102 * PAGE));
        assert_eq!(left(&[file], None, Some(PAGE)), Some(100 * PAGE));
    }
}
