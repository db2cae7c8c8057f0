//! Floating point numbers as PostgreSQL prints them (`extra_float_digits` of 1 and more).
//!
//! The shortest digits that lead back to the number under *any* rounding mode, which is a digit more than the
//! standard library prints where its digits lie exactly half way to the next number. Plain notation for exponents
//! from -4 up to the number of digits that a decimal always keeps, scientific notation outside.

/// The text of a `double precision`.
pub(super) fn float8(number: f64) -> String {
    let size = number.abs();
    if !size.is_finite() {
        return special(number.is_nan(), number.is_sign_negative());
    }
    let print = |digits: Option<usize>| match digits {
        None => format!("{size:e}"),
        Some(digits) => format!("{size:.*e}", digits - 1),
    };
    // A half-way point with at most 17 digits is a whole number below this bound, and only even numbers round to
    // themselves there.
    let half_way = (4_503_599_627_370_496.0..1e41).contains(&size) && size.to_bits() & 1 == 0;
    let decimal = Decimal::shortest(print, half_way.then_some(17), |text| {
        text.parse() == Ok(size)
    });
    // d2s.c: DBL_DIG
    decimal.print(number.is_sign_negative(), 15)
}

/// The text of a `real`.
pub(super) fn float4(number: f32) -> String {
    let size = number.abs();
    if !size.is_finite() {
        return special(number.is_nan(), number.is_sign_negative());
    }
    let print = |digits: Option<usize>| match digits {
        None => format!("{size:e}"),
        Some(digits) => format!("{size:.*e}", digits - 1),
    };
    let half_way = size >= 8_388_608.0 && size.to_bits() & 1 == 0;
    let decimal = Decimal::shortest(print, half_way.then_some(9), |text| {
        text.parse() == Ok(size)
    });
    // f2s.c: FLT_DIG
    decimal.print(number.is_sign_negative(), 6)
}

fn special(nan: bool, negative: bool) -> String {
    let text = match (nan, negative) {
        (true, _) => "NaN",
        (false, false) => "Infinity",
        (false, true) => "-Infinity",
    };
    text.to_owned()
}

/// `mantissa` × 10 ^ `power`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    mantissa: u64,
    power: i32,
}

impl Decimal {
    /// Reads what `{:e}` prints for a number that is finite and not negative.
    fn read(scientific: &str) -> Self {
        let (digits, exponent) = scientific.split_once('e').expect("{:e} prints an e");
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let exponent: i32 = exponent.parse().expect("{:e} prints an exponent");
        let mantissa = format!("{whole}{fraction}").parse();
        Self {
            mantissa: mantissa.expect("no more than 17 digits are ever asked for"),
            power: exponent - fraction.len() as i32,
        }
    }

    /// The shortest decimal for a number that `print` prints (to so many digits) and `same` recognises.
    ///
    /// `half_way` is the number of digits that always do, where the standard library may have stopped half way.
    fn shortest(
        print: impl Fn(Option<usize>) -> String,
        half_way: Option<usize>,
        same: impl Fn(&str) -> bool,
    ) -> Self {
        let shortest = Self::read(&print(None));
        let digits = shortest.mantissa.to_string().len();
        let Some(most) = half_way.filter(|_| !shortest.is_inside(&same)) else {
            return shortest.ties_to_even(digits, &print);
        };
        (digits..=most)
            .flat_map(|digits| {
                let nearest = Self::read(&print(Some(digits))).ties_to_even(digits, &print);
                let Self { mantissa, power } = nearest;
                // Below a power of two the numbers lie closer, so the nearest may be out and its neighbour in.
                [mantissa, mantissa + 1, mantissa - 1].map(|mantissa| Self { mantissa, power })
            })
            .find(|decimal| decimal.is_inside(&same))
            .unwrap_or(shortest)
    }

    /// Of two decimals of so many digits that are equally near, PostgreSQL takes the even one; the standard library
    /// does not always.
    fn ties_to_even(self, digits: usize, print: impl Fn(Option<usize>) -> String) -> Self {
        let longer = print(Some(digits + 1));
        let is_tie = || {
            // A number with so few digits has less than 30 in all, so 60 show whether it ends here.
            let all = print(Some(60));
            let all = all.bytes().filter(u8::is_ascii_digit).take(60);
            all.skip(digits + 1).all(|digit| digit == b'0')
        };
        if !longer.contains("5e") || !is_tie() {
            return self;
        }
        let Self { mantissa, power } = Self::read(&longer);
        let mantissa = mantissa / 10;
        Self {
            mantissa: mantissa + mantissa % 2,
            power: power + 1,
        }
    }

    /// Whether a little more and a little less would still be read as the same number.
    fn is_inside(self, same: impl Fn(&str) -> bool) -> bool {
        let Ok(zeros) = usize::try_from(self.power) else {
            return false;
        };
        // Zero is a neighbour of one, and no number's text.
        let Some(less) = self.mantissa.checked_sub(1) else {
            return false;
        };
        let mantissa = self.mantissa;
        same(&format!("{mantissa}{:0<zeros$}.001", ""))
            && same(&format!("{less}{:9<zeros$}.999", ""))
    }

    fn print(self, negative: bool, plain: i32) -> String {
        let all = self.mantissa.to_string();
        let exponent = self.power + all.len() as i32 - 1;
        let digits = match all.trim_end_matches('0') {
            "" => "0",
            digits => digits,
        };
        let sign = if negative { "-" } else { "" };
        if (0..plain).contains(&exponent) {
            let before = exponent as usize + 1;
            return match digits.split_at_checked(before) {
                Some((whole, "")) => format!("{sign}{whole}"),
                Some((whole, fraction)) => format!("{sign}{whole}.{fraction}"),
                None => format!("{sign}{digits:0<before$}"),
            };
        }
        if (-4..0).contains(&exponent) {
            let zeros = (-exponent - 1) as usize;
            return format!("{sign}0.{:0<zeros$}{digits}", "");
        }
        let (first, fraction) = digits.split_at(1);
        let point = if fraction.is_empty() { "" } else { "." };
        let direction = if exponent < 0 { '-' } else { '+' };
        format!(
            "{sign}{first}{point}{fraction}e{direction}{:02}",
            exponent.unsigned_abs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation_changes_where_postgresql_changes_it() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00001, "1e-05"),
            (123456789012345.0, "123456789012345"),
            (999999999999999.9, "999999999999999.9"),
            (1e14, "100000000000000"),
            (1e15, "1e+15"),
            (1234567890123456.0, "1.234567890123456e+15"),
            (1e20, "1e+20"),
            (1e100, "1e+100"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float8(number), text);
        }
        for (number, text) in [
            (0.1, "0.1"),
            (123456.0, "123456"),
            (999999.0, "999999"),
            (1e6, "1e+06"),
            (1234567.0, "1.234567e+06"),
            (0.00001, "1e-05"),
            (f32::MAX, "3.4028235e+38"),
            (1e-45, "1e-45"),
            (-0.0, "-0"),
        ] {
            assert_eq!(float4(number), text);
        }
    }

    // Each line below is what servers print.
    #[test]
    fn digits_half_way_to_the_next_number_are_not_short_enough() {
        for (number, text) in [
            (33_554_448.0, "3.3554448e+07"),
            (34_366_720_000.0, "3.4366718e+10"),
            (8_999_999_000.0, "8.999999e+09"),
        ] {
            assert_eq!(float4(number), text);
        }
        // One digit would do, were it not half way.
        assert_eq!(float8(1e23), "9.999999999999999e+22");
    }

    #[test]
    #[expect(clippy::excessive_precision, reason = "the last digit makes it a tie")]
    fn of_two_shortest_decimals_the_even_one_is_taken() {
        assert_eq!(float4(522_429.125), "522429.12");
        assert_eq!(float4(44_348.312_5), "44348.312");
        assert_eq!(float8(163_559_682_789_802.625), "163559682789802.62");
    }

    proptest::proptest! {
        #[test]
        fn every_text_leads_back_to_its_number(bits: u64) {
            let number = f64::from_bits(bits);
            proptest::prop_assume!(number.is_finite());
            assert_eq!(float8(number).parse::<f64>().unwrap().to_bits(), bits);
            let number = f32::from_bits(bits as u32);
            proptest::prop_assume!(number.is_finite());
            assert_eq!(float4(number).parse::<f32>().unwrap().to_bits(), bits as u32);
        }
    }
}
