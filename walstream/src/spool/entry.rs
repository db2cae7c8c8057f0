//! The form of a message within a piece: kind and length (4), position (8), the bytes.

use std::ops::Range;

use walproto::Lsn;

/// What lies before the bytes.
pub(super) const HEADER: usize = 12;

/// Set in the length of an entry that is no message of the stream: a CopyData message is shorter than 2 GiB.
const ASIDE: u32 = 1 << 31;

/// One message, by its place in the piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) lsn: Lsn,
    /// Not a message of the stream, but something beside it.
    pub(super) aside: bool,
    pub(super) bytes: Range<usize>,
}

impl Entry {
    /// The entry that begins at `at`; `None` if it does not end within the piece.
    pub(super) fn read(piece: &[u8], at: usize) -> Option<Self> {
        let (header, rest) = piece.get(at..)?.split_first_chunk::<HEADER>()?;
        let [a, b, c, d, lsn @ ..] = *header;
        let word = u32::from_be_bytes([a, b, c, d]);
        let len = (word & !ASIDE) as usize;
        let begin = at + HEADER;
        (len <= rest.len()).then_some(Self {
            lsn: Lsn(u64::from_be_bytes(lsn)),
            aside: word & ASIDE != 0,
            bytes: begin..begin + len,
        })
    }
}

/// Puts an entry behind the others. `parts` are one behind the other.
pub(super) fn put(piece: &mut Vec<u8>, lsn: Lsn, aside: bool, parts: [&[u8]; 2]) {
    let [first, second] = parts;
    let len = first.len() + second.len();
    reserve(piece, HEADER + len);
    let word = u32::try_from(len)
        .ok()
        .filter(|len| len & ASIDE == 0)
        .expect("a message is shorter than 2 GiB, as its length is a positive i32");
    let word = if aside { word | ASIDE } else { word };
    piece.extend_from_slice(&word.to_be_bytes());
    piece.extend_from_slice(&lsn.0.to_be_bytes());
    piece.extend_from_slice(first);
    piece.extend_from_slice(second);
}

/// Whether an entry of so many bytes is to begin another piece.
pub(super) fn overflows(piece: &[u8], bytes: usize) -> bool {
    !piece.is_empty() && piece.len() + HEADER + bytes > super::PIECE
}

/// Room that doubles up to a piece and no further: what is reserved beyond counts nowhere.
fn reserve(piece: &mut Vec<u8>, bytes: usize) {
    const LEAST: usize = 256;
    let need = piece.len() + bytes;
    if need > piece.capacity() {
        let room = (2 * piece.capacity()).clamp(LEAST, super::PIECE).max(need);
        piece.reserve_exact(room - piece.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_one_after_the_other() {
        let mut piece = Vec::new();
        put(&mut piece, Lsn(7), false, [b"ab", b"c"]);
        put(&mut piece, Lsn(8), true, [b"", b""]);
        let first = Entry::read(&piece, 0).unwrap();
        assert_eq!((first.lsn, first.aside), (Lsn(7), false));
        assert_eq!(&piece[first.bytes.clone()], b"abc");
        let second = Entry::read(&piece, first.bytes.end).unwrap();
        assert_eq!((second.lsn, second.aside), (Lsn(8), true));
        assert_eq!(second.bytes, piece.len()..piece.len());
    }

    #[test]
    fn an_entry_that_goes_on_behind_the_end_is_none() {
        let mut piece = Vec::new();
        put(&mut piece, Lsn(7), false, [b"abc", b""]);
        for len in 0..piece.len() {
            assert_eq!(Entry::read(&piece[..len], 0), None);
        }
        assert_eq!(Entry::read(&piece, piece.len() + 1), None);
    }
}
