//! Keyed permutations: of numbers below a bound, and of strings of symbols.
//!
//! A permutation, not a hash: different values stay different, so a key stays a key. The key is drawn anew for each run
//! and never leaves it.

use std::hash::{BuildHasher, RandomState};

/// A key, and what can be done with it.
#[derive(Debug, Default)]
pub(super) struct Cipher(RandomState);

/// One place of a string: a number below a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) value: u32,
    /// How many values there are; at least one.
    pub(super) radix: u32,
}

/// Rounds of the Feistel network.
const ROUNDS: u64 = 8;

impl Cipher {
    /// A random function: SipHash under our key.
    fn hash(&self, a: u64, b: u64) -> u64 {
        self.0.hash_one((a, b))
    }

    /// Another number below `bound` for each; `tweak` chooses among permutations.
    pub(super) fn permute(&self, tweak: u64, value: u64, bound: u64) -> u64 {
        let Some(top) = bound.checked_sub(1).filter(|top| *top > 0) else {
            return value;
        };
        let half = (u64::BITS - top.leading_zeros()).div_ceil(2);
        let mask = (1 << half) - 1;
        let mut value = value;
        loop {
            let (mut left, mut right) = (value >> half, value & mask);
            for round in 0..ROUNDS {
                let tweak = tweak.wrapping_mul(ROUNDS).wrapping_add(round);
                (left, right) = (right, left ^ self.hash(tweak, right) & mask);
            }
            value = left << half | right;
            // What falls outside is sent on until it comes back: that is a permutation still.
            if value <= top {
                return value;
            }
        }
    }

    /// Another string with the same bounds for each. Every symbol depends on all of them.
    pub(super) fn mix(&self, tweak: u64, symbols: &mut [Symbol]) {
        let seed = self.hash(tweak, symbols.len() as u64);
        if let [symbol] = symbols {
            let value = self.permute(seed, symbol.value.into(), symbol.radix.into());
            symbol.value = u32::try_from(value).unwrap_or_default();
            return;
        }
        let forth = self.hash(seed, 1);
        symbols
            .iter_mut()
            .fold(forth, |before, it| self.turn(before, it));
        let back = self.hash(seed, 2);
        symbols
            .iter_mut()
            .rev()
            .fold(back, |before, it| self.turn(before, it));
    }

    /// Turns one symbol by what came before it; gives what the next is turned by.
    fn turn(&self, before: u64, symbol: &mut Symbol) -> u64 {
        let radix = u64::from(symbol.radix.max(1));
        let next = self.hash(before, symbol.value.into());
        let value = (u64::from(symbol.value) + before % radix) % radix;
        symbol.value = u32::try_from(value).unwrap_or_default();
        next
    }

    /// Other bytes, as many.
    pub(super) fn bytes(&self, tweak: u64, bytes: &[u8]) -> Vec<u8> {
        let mut symbols: Vec<Symbol> = bytes
            .iter()
            .map(|byte| Symbol {
                value: u32::from(*byte),
                radix: 256,
            })
            .collect();
        self.mix(tweak, &mut symbols);
        symbols
            .iter()
            .map(|symbol| u8::try_from(symbol.value).unwrap_or_default())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn numbers_are_permuted() {
        let cipher = Cipher::default();
        for bound in [1, 2, 3, 9, 10, 100, 1000, 86_400] {
            let images: HashSet<u64> = (0..bound)
                .map(|value| cipher.permute(7, value, bound))
                .collect();
            assert_eq!(images.len() as u64, bound);
            assert!(images.iter().all(|image| *image < bound));
        }
        assert_ne!(cipher.permute(7, 5, u64::MAX), 5);
    }

    #[test]
    fn strings_are_permuted() {
        let cipher = Cipher::default();
        let mut images = HashSet::new();
        for value in 0..2 * 3 * 10 {
            let mut symbols = [(value % 2, 2), (value / 2 % 3, 3), (value / 6, 10)]
                .map(|(value, radix)| Symbol { value, radix });
            cipher.mix(1, &mut symbols);
            assert!(symbols.iter().all(|symbol| symbol.value < symbol.radix));
            images.insert(symbols.map(|symbol| symbol.value));
        }
        assert_eq!(images.len(), 60);
    }
}
