//! The form of a piece in a file, and what shows that it is damaged.
//!
//! ```text
//! piece := raw length (4)  stored length (4)  flags (4)  checksum (4)  stored bytes
//! ```
//!
//! The stored bytes are entries, compressed where the flag says so. The checksum is the CRC-32 of the piece's own place
//! in its file (8), of the twelve bytes before the checksum and of the stored bytes: a piece that is whole but lies
//! elsewhere than it was put is damage too. Nothing in a piece is believed before its checksum was seen, but for the
//! lengths, which are held against what was written.

use std::fmt;

use crate::limits::Compression;

/// Lengths, flags and checksum.
pub(super) const HEADER: usize = 16;

/// The stored bytes are an LZ4 block.
const LZ4: u32 = 1;

/// Larger pieces hold one message each and are stored as they are: compressing takes as much memory once more.
const LARGEST_COMPRESSED: usize = 16 << 20;

/// A piece ready to be written.
#[derive(Debug)]
pub(super) struct Packed<'a> {
    pub(super) header: [u8; HEADER],
    pub(super) stored: &'a [u8],
}

/// Makes a piece for the place `at`. `room` is for what compression makes.
pub(super) fn pack<'a>(
    at: u64,
    raw: &'a [u8],
    compression: Compression,
    room: &'a mut Vec<u8>,
) -> Packed<'a> {
    let (flags, stored) = match compression {
        Compression::Lz4 if raw.len() <= LARGEST_COMPRESSED => {
            room.resize(lz4_flex::block::get_maximum_output_size(raw.len()), 0);
            match lz4_flex::block::compress_into(raw, room) {
                Ok(len) if len < raw.len() => (LZ4, &room[..len]),
                _ => (0, raw),
            }
        }
        _ => (0, raw),
    };
    let length = |bytes: &[u8]| {
        u32::try_from(bytes.len()).expect("a piece of one message has less than 2 GiB and a header")
    };
    let mut header = [0; HEADER];
    let words = [length(raw), length(stored), flags];
    for (place, word) in header.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    let checksum = checksum(at, &header, stored);
    header[12..].copy_from_slice(&checksum.to_be_bytes());
    Packed { header, stored }
}

fn checksum(at: u64, header: &[u8; HEADER], stored: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&at.to_be_bytes());
    hasher.update(&header[..12]);
    hasher.update(stored);
    hasher.finalize()
}

/// A header that was read, and may be wrong.
#[derive(Debug)]
pub(super) struct Head {
    at: u64,
    bytes: [u8; HEADER],
    raw: u32,
    pub(super) stored: u32,
    flags: u32,
    checksum: u32,
}

impl Head {
    /// Reads the header at `at`. The largest piece that was written, and what follows in the file, bound the lengths,
    /// so that damage does not become a wish for memory.
    pub(super) fn read(
        at: u64,
        bytes: [u8; HEADER],
        largest: u32,
        left: u64,
    ) -> Result<Self, Damage> {
        let word = |place: usize| {
            let word = bytes.get(place..).and_then(<[u8]>::first_chunk);
            u32::from_be_bytes(*word.expect("a header has four words"))
        };
        let head = Self {
            at,
            bytes,
            raw: word(0),
            stored: word(4),
            flags: word(8),
            checksum: word(12),
        };
        let damage = |what, most: u64, found: u32| Damage {
            at,
            what,
            expected: Expected::AtMost(most),
            found: u64::from(found),
        };
        if head.raw > largest {
            return Err(damage("the length", u64::from(largest), head.raw));
        }
        let most = left.min(u64::from(head.raw));
        if u64::from(head.stored) > most {
            return Err(damage("the stored length", most, head.stored));
        }
        Ok(head)
    }

    /// Checks what was stored, and leaves in `raw` what was put.
    pub(super) fn unpack(self, stored: &mut Vec<u8>, raw: &mut Vec<u8>) -> Result<(), Damage> {
        let damage = |what, expected: u64, found: u64| Damage {
            at: self.at,
            what,
            expected: Expected::Exactly(expected),
            found,
        };
        let found = checksum(self.at, &self.bytes, stored);
        if found != self.checksum {
            let expected = u64::from(self.checksum);
            return Err(damage("the checksum", expected, u64::from(found)));
        }
        let len = match self.flags {
            0 => {
                std::mem::swap(stored, raw);
                raw.len()
            }
            LZ4 => {
                raw.resize(self.raw as usize, 0);
                lz4_flex::block::decompress_into(stored, raw).unwrap_or(0)
            }
            flags => return Err(damage("the flags", 0, u64::from(flags))),
        };
        if len != self.raw as usize {
            return Err(damage("the length", u64::from(self.raw), len as u64));
        }
        Ok(())
    }
}

/// What is wrong with a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    /// Where the piece begins in its file.
    at: u64,
    what: &'static str,
    expected: Expected,
    found: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Exactly(u64),
    AtMost(u64),
}

impl Damage {
    /// A piece whose checksum is right and whose entries do not end with it: ours is the mistake.
    pub(super) const fn entry(at: u64, entry: usize, len: usize) -> Self {
        Self {
            at,
            what: "the end of an entry",
            expected: Expected::AtMost(len as u64),
            found: entry as u64,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            what,
            expected,
            found,
        } = self;
        write!(
            f,
            "of the piece at byte {at} of its file, {what} is wrong: "
        )?;
        match expected {
            Expected::Exactly(expected) => write!(f, "{expected:#x} expected, {found:#x} found"),
            Expected::AtMost(most) => write!(f, "at most {most:#x} expected, {found:#x} found"),
        }
    }
}

impl std::error::Error for Damage {}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 4096;

    fn packed(raw: &[u8], compression: Compression) -> Vec<u8> {
        let mut room = Vec::new();
        let Packed { header, stored } = pack(AT, raw, compression, &mut room);
        [&header, stored].concat()
    }

    fn unpacked(at: u64, bytes: &[u8]) -> Result<Vec<u8>, Damage> {
        let (header, stored) = bytes.split_first_chunk().unwrap();
        let head = Head::read(at, *header, 1 << 20, stored.len() as u64)?;
        let (mut stored, mut raw) = (stored[..head.stored as usize].to_vec(), Vec::new());
        head.unpack(&mut stored, &mut raw)?;
        Ok(raw)
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let text = "a row like the one before it ".repeat(1000);
        for raw in [&b""[..], b"x", text.as_bytes()] {
            for compression in [Compression::None, Compression::Lz4] {
                assert_eq!(unpacked(AT, &packed(raw, compression)).unwrap(), raw);
            }
        }
        assert!(packed(text.as_bytes(), Compression::Lz4).len() < text.len() / 20);
    }

    #[test]
    fn what_does_not_become_smaller_is_stored_as_it_is() {
        let mut state = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(10_000)
        .collect();
        let bytes = packed(&noise, Compression::Lz4);
        assert_eq!(bytes.len(), HEADER + noise.len());
        assert_eq!(unpacked(AT, &bytes).unwrap(), noise);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        for compression in [Compression::None, Compression::Lz4] {
            let good = packed(
                "a row like the one before it ".repeat(10).as_bytes(),
                compression,
            );
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let damage = unpacked(AT, &bad).unwrap_err();
                assert!(damage.to_string().contains("at byte 4096 of its file"));
            }
        }
    }

    #[test]
    fn a_piece_from_elsewhere_is_damage() {
        let damage = unpacked(AT + 1, &packed(b"a row", Compression::None)).unwrap_err();
        assert_eq!(damage.what, "the checksum");
    }

    #[test]
    fn lengths_are_no_wish_for_memory() {
        let mut bytes = packed(b"a row", Compression::None);
        bytes[0] = 0x7f;
        let text = unpacked(AT, &bytes).unwrap_err().to_string();
        let expected = "of the piece at byte 4096 of its file, the length is wrong: at most 0x100000 expected, 0x7f000005 found";
        assert_eq!(text, expected);
        let mut bytes = packed(b"a row", Compression::None);
        bytes[7] = 6;
        let text = unpacked(AT, &bytes).unwrap_err().to_string();
        assert!(text.ends_with("the stored length is wrong: at most 0x5 expected, 0x6 found"));
    }
}
