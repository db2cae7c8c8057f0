//! Floating point: both forms give the same bits.

use testdata::workload::Random;
use walproto::Column;

use crate::oracle::{self, survives_junk};

const SPECIAL: [&str; 12] = [
    "NaN",
    "Infinity",
    "-Infinity",
    "0",
    "-0",
    "1e23",
    "0.1",
    "16777217",
    "9007199254740993",
    "1e-5",
    "123456789012345680",
    "8.5e-07",
];

fn halves(random: &mut Random) -> (u32, u32) {
    let number = random.number();
    let half = |number: u64| u32::try_from(number & 0xFFFF_FFFF).unwrap_or_default();
    (half(number), half(number >> 32))
}

#[test]
fn double_precision_is_the_same_bits_in_both_forms() {
    let ends = [
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::from_bits(1),
        f64::from_bits(0xF_FFFF_FFFF_FFFF),
    ];
    oracle::each(|oracle, random| {
        let mut inputs: Vec<_> = SPECIAL.map(String::from).into();
        inputs.extend(
            ends.iter()
                .flat_map(|end| [format!("{end:e}"), format!("-{end:e}")]),
        );
        while inputs.len() < 4_000 {
            let bits = random.number();
            let value = match random.below(4) {
                // Of few digits.
                0 => f64::from(halves(random).0) / 1_000.0,
                // Subnormal.
                1 => f64::from_bits(bits >> 12 | bits & 1 << 63),
                _ => f64::from_bits(bits),
            };
            if value.is_finite() {
                inputs.push(format!("{value:e}"));
            }
        }
        let answers = oracle.ask("double precision", &inputs, &[]);
        for answer in &answers {
            let bits = answer.forms().map(|form| {
                form.value::<f64>()
                    .unwrap_or_else(|error| panic!("{error}: {answer:?}"))
                    .to_bits()
            });
            assert_eq!(bits[0], bits[1], "{answer:?}");
            assert_eq!(bits[1].to_be_bytes()[..], answer.binary, "{answer:?}");
        }
        survives_junk(&answers, random, |column| column.value::<f64>());
    });
}

#[test]
fn real_is_the_same_bits_in_both_forms() {
    let ends = [
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x7F_FFFF),
    ];
    oracle::each(|oracle, random| {
        let mut inputs: Vec<_> = SPECIAL.map(String::from).into();
        inputs.extend(
            ends.iter()
                .flat_map(|end| [format!("{end:e}"), format!("-{end:e}")]),
        );
        while inputs.len() < 4_000 {
            let (bits, other) = halves(random);
            let value = match random.below(4) {
                0 => f32::from_bits(bits >> 9 | bits & 1 << 31),
                1 => f32::from_bits(0x4000_0000 | other >> 8),
                _ => f32::from_bits(bits),
            };
            if value.is_finite() {
                inputs.push(format!("{value:e}"));
            }
        }
        let answers = oracle.ask("real", &inputs, &[]);
        for answer in &answers {
            let bits = answer.forms().map(|form| {
                form.value::<f32>()
                    .unwrap_or_else(|error| panic!("{error}: {answer:?}"))
                    .to_bits()
            });
            assert_eq!(bits[0], bits[1], "{answer:?}");
        }
        survives_junk(&answers, random, |column| column.value::<f32>());
    });
}

#[test]
fn a_real_is_rounded_once() {
    // Rounded to a double first, this lies half-way between two reals and goes to the even one.
    let text = "1.00000017881393432617187499";
    assert_eq!(Column::Text(text.as_bytes()).value(), Ok(1.000_000_1_f32));
}
