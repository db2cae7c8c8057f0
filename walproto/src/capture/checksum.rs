//! CRC-32C (Castagnoli), eight bytes at a step.

#![allow(
    clippy::indexing_slicing,
    reason = "every index is below 256, in tables of 256"
)]

/// The polynomial, lowest power first.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// A checksum under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Checksum(u32);

impl Checksum {
    pub(super) const fn new() -> Self {
        Self(!0)
    }

    pub(super) const fn finish(self) -> u32 {
        !self.0
    }

    #[must_use]
    pub(super) fn update(self, bytes: &[u8]) -> Self {
        let mut crc = self.0;
        let (steps, rest) = bytes.as_chunks();
        for &[a, b, c, d, e, f, g, h] in steps {
            crc = TABLES[7][at(crc, a)]
                ^ TABLES[6][at(crc >> 8, b)]
                ^ TABLES[5][at(crc >> 16, c)]
                ^ TABLES[4][at(crc >> 24, d)]
                ^ TABLES[3][usize::from(e)]
                ^ TABLES[2][usize::from(f)]
                ^ TABLES[1][usize::from(g)]
                ^ TABLES[0][usize::from(h)];
        }
        for &byte in rest {
            crc = TABLES[0][at(crc, byte)] ^ crc >> 8;
        }
        Self(crc)
    }
}

/// The lowest byte of both, as an index.
const fn at(crc: u32, byte: u8) -> usize {
    (crc as usize ^ byte as usize) & 0xFF
}

/// What a byte does to the checksum when as many others follow it as the table's number says.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte: u32 = 0;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ POLYNOMIAL
            } else {
                crc >> 1
            };
            bit += 1;
        }
        tables[0][byte as usize] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][before as usize & 0xFF];
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> u32 {
        Checksum::new().update(bytes).finish()
    }

    #[test]
    fn is_the_castagnoli_checksum() {
        // The check value of the CRC catalogues, and the vectors of RFC 3720, B.4.
        assert_eq!(of(b"123456789"), 0xE306_9283);
        assert_eq!(of(&[0; 32]), 0x8A91_36AA);
        assert_eq!(of(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(
            of(&core::array::from_fn::<u8, 32, _>(
                |at| u8::try_from(at).unwrap()
            )),
            0x46DD_794E
        );
        assert_eq!(of(b""), 0);
    }

    #[test]
    fn parts_add_up() {
        let bytes: [u8; 100] = core::array::from_fn(|at| u8::try_from(at * 37 % 251).unwrap());
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(
                Checksum::new().update(head).update(tail).finish(),
                of(&bytes)
            );
        }
    }
}
