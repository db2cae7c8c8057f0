//! Values against the server's own idea of them: what it prints must come back to the letter.

use replicator::{Kind, Value};
use testdata::{Client, Server, Version};

/// Numbers per type and version. Many, because the rare cases are where the shortest digits lie half way.
const NUMBERS: usize = 30_000;

/// A small generator; the seed is printed with every failure.
struct Random(u64);

impl Random {
    // xorshift64*, https://vigna.di.unimi.it/ftp/papers/xorshift.pdf
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Any double, or one near which neighbours are whole numbers, or a tie between decimals.
    fn double(&mut self) -> f64 {
        let (bits, fraction) = (self.next(), (1 << 52) - 1);
        let scaled = |exponent: u64, zeros: u64| {
            f64::from_bits((1023 + exponent) << 52 | bits & fraction & !((1 << zeros) - 1))
        };
        match bits >> 62 {
            0 => f64::from_bits(bits << 2),
            1 => scaled(52 + bits % 80, 0),
            2 => scaled(52 + bits % 80, bits % 47),
            _ => scaled(40 + bits % 12, bits % 6),
        }
    }

    fn single(&mut self) -> f32 {
        let (bits, fraction) = (self.next() as u32, (1 << 23) - 1);
        let scaled = |exponent: u32, zeros: u32| {
            f32::from_bits((127 + exponent) << 23 | bits & fraction & !((1 << zeros) - 1))
        };
        match bits >> 30 {
            0 => f32::from_bits(bits << 2),
            1 => scaled(23 + bits % 60, 0),
            2 => scaled(23 + bits % 60, bits % 20),
            _ => scaled(13 + bits % 10, bits % 4),
        }
    }
}

/// What the server prints for these numbers, in their order.
fn printed(client: &mut Client, sql_type: &str, numbers: &str) -> Vec<String> {
    let table = format!("numbers_{}", sql_type.replace(' ', "_"));
    client
        .batch(&format!(
            "CREATE TABLE {table} (id serial, number {sql_type})"
        ))
        .expect("a table");
    client
        .copy_in(
            &format!("COPY {table} (number) FROM STDIN"),
            numbers.as_bytes(),
        )
        .expect("numbers");
    let copy = format!("COPY (SELECT number FROM {table} ORDER BY id) TO STDOUT");
    let text =
        String::from_utf8(client.copy_out(&copy).expect("a copy")).expect("numbers are ASCII");
    text.lines().map(str::to_owned).collect()
}

fn back(kind: Kind, text: &str) -> (Value, Option<String>) {
    let value = Value::from_text(kind, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let again = value
        .to_text(kind)
        .unwrap_or_else(|error| panic!("{error}"));
    (value, again)
}

#[test]
fn floats_come_back_to_the_bit_and_print_as_every_server_prints_them() {
    for version in Version::ALL {
        let server = Server::start(version);
        let mut client = Client::connect(&server, "postgres").expect("a connection");
        let seed = 0x5EED ^ u64::from(version.major());
        let mut random = Random(seed);

        let singles: Vec<f32> = std::iter::repeat_with(|| random.single())
            .filter(|number| number.is_finite())
            .take(NUMBERS)
            .collect();
        let sent: String = singles
            .iter()
            .map(|number| format!("{number:e}\n"))
            .collect();
        let texts = printed(&mut client, "real", &sent);
        assert_eq!(texts.len(), singles.len());
        for (number, text) in singles.iter().zip(texts) {
            let (value, again) = back(Kind::Float4, &text);
            assert_eq!(
                again.as_ref(),
                Some(&text),
                "{version}, seed {seed}: {number:e}"
            );
            match value {
                Value::Real(value) => assert_eq!(
                    (value as f32).to_bits(),
                    number.to_bits(),
                    "{version}: {number:e}"
                ),
                _ => assert_eq!(text, "-0", "{version}: {number:e}"),
            }
        }

        let doubles: Vec<f64> = std::iter::repeat_with(|| random.double())
            .filter(|number| number.is_finite())
            .take(NUMBERS)
            .collect();
        let sent: String = doubles
            .iter()
            .map(|number| format!("{number:e}\n"))
            .collect();
        let texts = printed(&mut client, "double precision", &sent);
        assert_eq!(texts.len(), doubles.len());
        for (number, text) in doubles.iter().zip(texts) {
            let (value, again) = back(Kind::Float8, &text);
            assert_eq!(
                again.as_ref(),
                Some(&text),
                "{version}, seed {seed}: {number:e}"
            );
            match value {
                Value::Real(value) => {
                    assert_eq!(value.to_bits(), number.to_bits(), "{version}: {number:e}")
                }
                _ => assert_eq!(text, "-0", "{version}: {number:e}"),
            }
        }

        for (kind, sql_type) in [(Kind::Float4, "real"), (Kind::Float8, "double precision")] {
            for special in ["NaN", "Infinity", "-Infinity", "-0", "0"] {
                let text = client
                    .value(&format!("SELECT '{special}'::{sql_type}"))
                    .expect("a value");
                assert_eq!(
                    back(kind, &text).1.as_deref(),
                    Some(special),
                    "{version}: {sql_type}"
                );
            }
        }
    }
}
