//! Addresses of networks and of hardware.

use std::net::{Ipv4Addr, Ipv6Addr};

use testdata::workload::Random;
use walproto::Column;
use walproto::value::{Cidr, Inet, MacAddr, MacAddr8, ValueErrorKind};

use crate::oracle::{self, both_forms, survives_junk};

const MANY: usize = 3_000;

fn bits(random: &mut Random) -> u128 {
    u128::from(random.number()) << 64 | u128::from(random.number())
}

/// Addresses with runs of zeros, which shorten the text, and those that hold one of IPv4.
fn ipv6(random: &mut Random) -> u128 {
    match random.below(6) {
        0 => bits(random),
        1 => 0xFFFF_0000_0000 | (bits(random) & 0xFFFF_FFFF),
        2 => bits(random) >> random.below(128),
        _ => {
            let mut address = bits(random);
            for group in 0..8 {
                if random.once_in(2) {
                    address &= !(0xFFFF << (16 * group));
                }
            }
            address
        }
    }
}

/// An address, and the number of bits of its network.
fn network(random: &mut Random) -> (bool, u128, usize) {
    if random.once_in(3) {
        let address = bits(random) & (u128::from(u32::MAX) >> random.below(32));
        return (true, address, random.below(33));
    }
    let prefix = if random.once_in(4) {
        128
    } else {
        random.below(129)
    };
    (false, ipv6(random), prefix)
}

fn host(is_ipv4: bool, address: u128) -> String {
    if is_ipv4 {
        Ipv4Addr::from(u32::try_from(address).unwrap()).to_string()
    } else {
        Ipv6Addr::from(address).to_string()
    }
}

#[test]
fn inet_is_read_as_the_server_takes_it_apart() {
    oracle::each(|oracle, random| {
        let inputs: Vec<String> = (0..MANY)
            .map(|_| {
                let (is_ipv4, address, prefix) = network(random);
                format!("{}/{prefix}", host(is_ipv4, address))
            })
            .collect();
        let answers = oracle.ask("inet", &inputs, &["host(x)", "masklen(x)", "family(x)"]);
        both_forms(&answers, |column| {
            column.value::<Inet>().map(|inet| inet.to_string())
        });
        for (answer, input) in answers.iter().zip(&inputs) {
            let inet: Inet = answer.value();
            let (address, prefix) = input.split_once('/').unwrap();
            assert_eq!(inet.address, address.parse::<std::net::IpAddr>().unwrap());
            assert_eq!(inet.prefix.to_string(), prefix);
            assert_eq!(inet.prefix.to_string(), answer.told(1));
            assert_eq!(inet.address.is_ipv4(), answer.told(2) == "4");
            let alone = Column::Text(answer.told(0).as_bytes()).value::<Inet>();
            assert_eq!(alone.unwrap().address, inet.address);
        }
        survives_junk(&answers, random, |column| column.value::<Inet>());
    });
}

#[test]
fn cidr_is_read_as_the_server_writes_it() {
    oracle::each(|oracle, random| {
        let inputs: Vec<String> = (0..MANY)
            .map(|_| {
                let (is_ipv4, address, prefix) = network(random);
                let all = if is_ipv4 { 32 } else { 128 };
                let outside = (1_u128 << (all - prefix).min(127)).wrapping_sub(1);
                let outside = if all - prefix == 128 {
                    u128::MAX
                } else {
                    outside
                };
                format!("{}/{prefix}", host(is_ipv4, address & !outside))
            })
            .collect();
        let answers = oracle.ask("cidr", &inputs, &["masklen(x)", "x::inet"]);
        assert_eq!(answers.len(), inputs.len());
        both_forms(&answers, |column| {
            column.value::<Cidr>().map(|cidr| cidr.to_string())
        });
        for answer in &answers {
            let cidr: Cidr = answer.value();
            assert_eq!(cidr.prefix.to_string(), answer.told(0));
            // The address has no bits behind the prefix, so as inet it means the same.
            let inet = Column::Text(answer.told(1).as_bytes()).value::<Inet>();
            assert_eq!(inet, Ok(cidr.into()));
        }
        survives_junk(&answers, random, |column| column.value::<Cidr>());
    });
}

#[test]
fn hardware_addresses_are_read_as_the_server_writes_them() {
    oracle::each(|oracle, random| {
        let pairs = |random: &mut Random, count: usize| {
            let bytes = bits(random).to_be_bytes();
            let pairs: Vec<String> = bytes[..count].iter().map(|b| format!("{b:02x}")).collect();
            (pairs.join(if random.once_in(2) { ":" } else { "-" }), bytes)
        };
        let (inputs, bytes): (Vec<String>, Vec<_>) = (0..MANY).map(|_| pairs(random, 6)).unzip();
        let answers = oracle.ask("macaddr", &inputs, &[]);
        both_forms(&answers, |column| {
            column.value::<MacAddr>().map(|mac| mac.to_string())
        });
        for (answer, bytes) in answers.iter().zip(bytes) {
            assert_eq!(answer.value::<MacAddr>().0, bytes[..6]);
        }
        survives_junk(&answers, random, |column| column.value::<MacAddr>());

        let (inputs, bytes): (Vec<String>, Vec<_>) = (0..MANY).map(|_| pairs(random, 8)).unzip();
        let answers = oracle.ask("macaddr8", &inputs, &[]);
        both_forms(&answers, |column| {
            column.value::<MacAddr8>().map(|mac| mac.to_string())
        });
        for (answer, bytes) in answers.iter().zip(bytes) {
            assert_eq!(answer.value::<MacAddr8>().0, bytes[..8]);
        }
        survives_junk(&answers, random, |column| column.value::<MacAddr8>());
    });
}

#[test]
fn addresses_that_are_none_are_refused_with_the_byte() {
    use ValueErrorKind::{OutOfRange, TrailingBytes, Truncated, UnexpectedByte};
    for (text, kind, offset) in [
        ("", Truncated, 0),
        ("/8", Truncated, 0),
        ("10.0.0/8", UnexpectedByte, 0),
        ("10.0.0.0/", Truncated, 9),
        ("10.0.0.0/08", UnexpectedByte, 9),
        ("10.0.0.0/33", OutOfRange, 9),
        ("::/129", OutOfRange, 3),
        ("::/1000", UnexpectedByte, 3),
    ] {
        let error = Column::Text(text.as_bytes()).value::<Inet>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{text}");
    }
    for (bytes, kind, offset) in [
        (&[2, 8, 0][..], Truncated, 3),
        (&[1, 8, 0, 4, 10, 0, 0, 0], UnexpectedByte, 0),
        (&[2, 33, 0, 4, 10, 0, 0, 0], OutOfRange, 1),
        (&[2, 8, 2, 4, 10, 0, 0, 0], UnexpectedByte, 2),
        (&[2, 8, 0, 16, 10, 0, 0, 0], UnexpectedByte, 3),
        (&[2, 8, 0, 4, 10, 0, 0], Truncated, 7),
        (&[2, 8, 0, 4, 10, 0, 0, 0, 0], TrailingBytes, 8),
        (&[3, 8, 0, 16, 10, 0, 0, 0], Truncated, 8),
    ] {
        let error = Column::Binary(bytes).value::<Inet>().unwrap_err();
        assert_eq!((error.kind, error.offset), (kind, offset), "{bytes:?}");
    }
    let cidr = |text: &'static str| Column::Text(text.as_bytes()).value::<Cidr>();
    assert_eq!(cidr("10.0.0.1/8").unwrap_err().kind, OutOfRange);
    assert_eq!(cidr("10.0.0.0").unwrap_err().kind, Truncated);
    assert!(cidr("0.0.0.0/0").is_ok() && cidr("::/0").is_ok());
    let mac = |text: &'static str| Column::Text(text.as_bytes()).value::<MacAddr>();
    let error = mac("08:00:2b-01:02:03").unwrap_err();
    assert_eq!((error.kind, error.offset), (UnexpectedByte, 8));
    assert_eq!(mac("08:00:2b:01:02").unwrap_err().kind, Truncated);
    assert_eq!(mac("08:00:2b:01:02:03:04").unwrap_err().kind, TrailingBytes);
}
