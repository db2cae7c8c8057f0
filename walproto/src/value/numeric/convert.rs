//! Exact numbers as machine numbers.

use super::{BASE, Form, Numeric, is_zero};

impl Numeric<'_> {
    /// The value without its point, to be divided by ten to the power of [`scale`](Self::scale); `None` where it does
    /// not fit, and for `NaN` and infinity.
    pub fn unscaled(self) -> Option<i128> {
        self.whole(i32::from(self.scale()))
    }

    /// The value; `None` where it has a fraction other than zeros or does not fit, and for `NaN` and infinity.
    pub fn to_i128(self) -> Option<i128> {
        let fraction = match self.form {
            Form::NaN | Form::Infinity => return None,
            Form::Text { fraction, .. } => !is_zero(fraction),
            Form::Binary { groups, weight, .. } => groups.len() > int_groups(weight),
        };
        if fraction { None } else { self.whole(0) }
    }

    /// The nearest `f64`, the even one of two; infinite beyond the range of finite ones.
    pub fn to_f64(self) -> f64 {
        let magnitude = match self.form {
            Form::NaN => return f64::NAN,
            Form::Infinity => f64::INFINITY,
            Form::Text { .. } | Form::Binary { .. } => {
                self.short().unwrap_or_else(|| self.nearest())
            }
        };
        if self.negative { -magnitude } else { magnitude }
    }

    /// The quotient of two numbers that are exact as `f64`, which is rounded once.
    #[inline]
    fn short(self) -> Option<f64> {
        let magnitude = u64::try_from(self.unscaled()?.unsigned_abs()).ok()?;
        if magnitude == 0 {
            return Some(0.0);
        }
        let divisor = EXACT_POWERS.get(usize::from(self.scale()))?;
        (magnitude <= 1 << f64::MANTISSA_DIGITS).then(|| magnitude as f64 / divisor)
    }

    /// By way of a text: a number half-way between two doubles has up to 767 digits, and what else follows can only
    /// say on which side of it the value lies.
    fn nearest(self) -> f64 {
        const DIGITS: usize = 780;
        let mut buffer = [0; DIGITS + 16];
        let mut len = 0;
        let mut push = |byte: u8| {
            if let Some(slot) = buffer.get_mut(len) {
                *slot = byte;
                len += 1;
            }
        };
        let mut digits = self.digits();
        let zeros = digits.clone().take_while(|&digit| digit == 0).count();
        digits.places.start += i32::try_from(zeros).unwrap_or_default();
        for digit in digits.by_ref().take(DIGITS) {
            push(b'0' + digit);
        }
        // Place 0 is that of the ones.
        let mut exponent = 1 - digits.places.start;
        if digits.any(|digit| digit != 0) {
            push(b'1');
            exponent -= 1;
        }
        push(b'e');
        if exponent < 0 {
            push(b'-');
        }
        let mut divisor = 1_000_000;
        while divisor > 0 {
            let [.., digit] = (exponent.unsigned_abs() / divisor % 10).to_be_bytes();
            push(b'0' + digit);
            divisor /= 10;
        }
        buffer
            .get(..len)
            .and_then(|text| core::str::from_utf8(text).ok())
            .and_then(|text| text.parse().ok())
            .unwrap_or(f64::NAN)
    }

    /// The digits down to so many places after the point as a whole number.
    #[inline]
    fn whole(self, places: i32) -> Option<i128> {
        // Most fit in a word, which is three times as fast.
        if let Form::Text { integer, fraction } = self.form {
            let fraction = if places > 0 { fraction } else { &[] };
            if integer.len() + fraction.len() <= 18 {
                let push = |whole: i64, &byte: &u8| whole * 10 + i64::from(byte - b'0');
                let whole = fraction.iter().fold(integer.iter().fold(0, push), push);
                return Some(if self.negative { -whole } else { whole }.into());
            }
        }
        let word = |whole: u64, factor: u16, digits: u16| {
            whole.checked_mul(factor.into())?.checked_add(digits.into())
        };
        match self.magnitude(places, 0, word) {
            Some(whole) if self.negative => Some(-i128::from(whole)),
            Some(whole) => Some(i128::from(whole)),
            None if self.is_finite() => self.long_whole(places),
            None => None,
        }
    }

    #[cold]
    fn long_whole(self, places: i32) -> Option<i128> {
        let whole = self.magnitude(places, 0, |whole: u128, factor, digits| {
            whole.checked_mul(factor.into())?.checked_add(digits.into())
        })?;
        // The lowest value has no positive counterpart.
        if self.negative {
            0_i128.checked_sub_unsigned(whole)
        } else {
            i128::try_from(whole).ok()
        }
    }

    /// The same without the sign; `push` makes room for the digits that it is given by multiplying with the factor.
    #[inline]
    fn magnitude<T>(
        self,
        places: i32,
        mut whole: T,
        mut push: impl FnMut(T, u16, u16) -> Option<T>,
    ) -> Option<T> {
        match self.form {
            Form::NaN | Form::Infinity => return None,
            Form::Text { integer, fraction } => {
                let fraction = if places > 0 { fraction } else { &[] };
                for part in [integer, fraction] {
                    for &byte in part {
                        whole = push(whole, 10, (byte - b'0').into())?;
                    }
                }
            }
            Form::Binary { groups: [], .. } => {}
            Form::Binary { groups, weight, .. } => {
                let mut left = (i32::from(weight) + 1) * 4 + places;
                for group in groups {
                    let group = u16::from_be_bytes(*group);
                    whole = match left {
                        4.. => push(whole, BASE, group)?,
                        // What is cut off are zeros.
                        3 => push(whole, 1_000, group / 10)?,
                        2 => push(whole, 100, group / 100)?,
                        1 => push(whole, 10, group / 1_000)?,
                        ..=0 => break,
                    };
                    left -= 4;
                }
                while left >= 4 {
                    whole = push(whole, BASE, 0)?;
                    left -= 4;
                }
                while left > 0 {
                    whole = push(whole, 10, 0)?;
                    left -= 1;
                }
            }
        }
        Some(whole)
    }
}

/// How many digits of base 10,000 may stand before the point.
fn int_groups(weight: i16) -> usize {
    usize::try_from(i32::from(weight) + 1).unwrap_or_default()
}

/// The powers of ten that `f64` holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];
