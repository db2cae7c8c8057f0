//! Where a run is to end, in the server's own terms.

use walstream::walproto::Lsn;

use crate::config::Until;
use crate::error::Result;
use crate::source::Source;

/// The position at which to stop, as the server will say it.
pub(crate) async fn target(source: &mut Source, until: Option<Until>) -> Result<Option<Lsn>> {
    let target = match until {
        None => return Ok(None),
        Some(Until::Lsn(lsn)) => lsn,
        Some(Until::Current) => {
            let lsn = source.insert_lsn().await?;
            source.flush_wal().await;
            lsn
        }
    };
    let (page, segment) = source.wal_sizes().await?;
    Ok(Some(boundary(target, page, segment)))
}

/// A position within the header of a page counts as the boundary before it: nothing lies between, and that is where
/// the server says it is.
fn boundary(lsn: Lsn, page: u64, segment: u64) -> Lsn {
    // xlog_internal.h: SizeOfXLogShortPHD, SizeOfXLogLongPHD
    let header = if lsn.0 % segment < page { 40 } else { 24 };
    let within = lsn.0 % page;
    if within <= header {
        Lsn(lsn.0 - within)
    } else {
        lsn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_within_a_page_header_is_the_boundary() {
        const PAGE: u64 = 8192;
        const SEGMENT: u64 = 16 << 20;
        let at = |lsn| boundary(Lsn(lsn), PAGE, SEGMENT).0;
        assert_eq!(
            at(SEGMENT + 40),
            SEGMENT,
            "a segment begins with a long header"
        );
        assert_eq!(at(SEGMENT + 41), SEGMENT + 41);
        assert_eq!(at(SEGMENT + PAGE + 24), SEGMENT + PAGE);
        assert_eq!(at(SEGMENT + PAGE + 25), SEGMENT + PAGE + 25);
        assert_eq!(at(SEGMENT + PAGE), SEGMENT + PAGE);
    }
}
