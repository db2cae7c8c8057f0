//! A short line of ASCII, put together on the stack and printed at once.

use core::fmt;

/// Longer than the longest interval.
#[derive(Clone, Debug)]
pub(super) struct Line {
    bytes: [u8; 80],
    len: usize,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; 80],
            len: 0,
        }
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        for &byte in text.as_bytes() {
            self.byte(byte);
        }
    }

    /// A number, with zeros before it up to so many digits.
    #[inline]
    pub(super) fn number(&mut self, mut number: u64, width: usize) {
        // As many digits as 64 bits have.
        let mut digits = [b'0'; 20];
        let mut first = digits.len() - width;
        for (index, place) in digits.iter_mut().enumerate().rev() {
            if number == 0 {
                break;
            }
            let [.., digit] = (number % 10).to_be_bytes();
            *place = b'0' + digit;
            first = first.min(index);
            number /= 10;
        }
        for &digit in digits.get(first..).unwrap_or_default() {
            self.byte(digit);
        }
    }

    /// The microseconds of a second, without zeros at the end.
    // datetime.c: AppendSeconds
    pub(super) fn fraction(&mut self, micros: u64) {
        if micros == 0 {
            return;
        }
        let (mut micros, mut width) = (micros, 6);
        while micros.is_multiple_of(10) {
            micros /= 10;
            width -= 1;
        }
        self.byte(b'.');
        self.number(micros, width);
    }

    pub(super) fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.bytes.get(..self.len).map(core::str::from_utf8);
        f.pad(text.and_then(Result::ok).ok_or(fmt::Error)?)
    }
}
