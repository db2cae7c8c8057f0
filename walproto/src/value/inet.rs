//! Network addresses: inet and cidr.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str;

use super::{Expected, FromColumn, ValueError, ValueErrorKind};

/// An address, and how many of its leading bits name the network.
///
/// Text: the address, then a slash and the number of bits unless these are all. Binary: a byte for the family (2 for
/// IPv4, 3 for IPv6), one for the number of bits, one that is 1 in a cidr, one for the number of bytes, and the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inet {
    /// The address, as by `host`.
    pub address: IpAddr,
    /// Number of bits of the network, as by `masklen`: at most 32 for IPv4, 128 for IPv6.
    pub prefix: u8,
}

/// A network: an address whose bits behind the prefix are zero.
///
/// Layout as for [`Inet`], but that the text form always has the number of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// The first address of the network.
    pub address: IpAddr,
    /// Number of bits of the network, as by `masklen`: at most 32 for IPv4, 128 for IPv6.
    pub prefix: u8,
}

impl<'a> FromColumn<'a> for Inet {
    const EXPECTED: Expected = Expected::Inet;

    // network.c: inet_out
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        let (address, prefix) = parse(text, Self::EXPECTED)?;
        Ok(Self {
            address,
            prefix: prefix.unwrap_or_else(|| bits(address)),
        })
    }

    // network.c: inet_send
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let (address, prefix) = unpack(bytes, Self::EXPECTED)?;
        Ok(Self { address, prefix })
    }
}

impl<'a> FromColumn<'a> for Cidr {
    const EXPECTED: Expected = Expected::Cidr;

    // network.c: cidr_out
    fn from_text(text: &'a [u8]) -> Result<Self, ValueError> {
        let (address, prefix) = parse(text, Self::EXPECTED)?;
        let Some(prefix) = prefix else {
            return Err(error(ValueErrorKind::Truncated, Self::EXPECTED, text.len()));
        };
        Self::checked(address, prefix, 0)
    }

    // network.c: cidr_send
    fn from_binary(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let (address, prefix) = unpack(bytes, Self::EXPECTED)?;
        Self::checked(address, prefix, 4)
    }
}

impl Cidr {
    fn checked(address: IpAddr, prefix: u8, offset: usize) -> Result<Self, ValueError> {
        // Bits behind the prefix; a shift by all bits has none.
        let outside = match address {
            IpAddr::V4(address) => address.to_bits().checked_shl(u32::from(prefix)) > Some(0),
            IpAddr::V6(address) => address.to_bits().checked_shl(u32::from(prefix)) > Some(0),
        };
        if outside {
            return Err(error(ValueErrorKind::OutOfRange, Self::EXPECTED, offset));
        }
        Ok(Self { address, prefix })
    }
}

impl From<Cidr> for Inet {
    fn from(cidr: Cidr) -> Self {
        let Cidr { address, prefix } = cidr;
        Self { address, prefix }
    }
}

#[cold]
fn error(kind: ValueErrorKind, expected: Expected, offset: usize) -> ValueError {
    ValueError::new(kind, expected, offset)
}

/// All the bits of an address.
const fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn parse(text: &[u8], expected: Expected) -> Result<(IpAddr, Option<u8>), ValueError> {
    let slash = text.iter().position(|&byte| byte == b'/');
    let (host, rest) = text
        .split_at_checked(slash.unwrap_or(text.len()))
        .unwrap_or((text, &[]));
    if host.is_empty() {
        return Err(error(ValueErrorKind::Truncated, expected, 0));
    }
    let address = str::from_utf8(host).ok().and_then(|host| host.parse().ok());
    let Some(address) = address else {
        return Err(error(ValueErrorKind::UnexpectedByte, expected, 0));
    };
    let Some((_, digits)) = rest.split_first() else {
        return Ok((address, None));
    };
    let at = text.len() - digits.len();
    let prefix = match *digits {
        [] => return Err(error(ValueErrorKind::Truncated, expected, at)),
        [a @ b'0'..=b'9'] => Some(a - b'0'),
        [a @ b'1'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
        [b'1', b @ b'0'..=b'2', c @ b'0'..=b'9'] => Some(100 + (b - b'0') * 10 + (c - b'0')),
        _ => None,
    };
    match prefix {
        None => Err(error(ValueErrorKind::UnexpectedByte, expected, at)),
        Some(prefix) if prefix > bits(address) => {
            Err(error(ValueErrorKind::OutOfRange, expected, at))
        }
        prefix => Ok((address, prefix)),
    }
}

/// How the server names the families; its own numbers, not those of an operating system.
const IPV4: u8 = 2;
const IPV6: u8 = 3;

fn unpack(bytes: &[u8], expected: Expected) -> Result<(IpAddr, u8), ValueError> {
    let Some((&[family, prefix, is_cidr, len], rest)) = bytes.split_first_chunk() else {
        return Err(error(ValueErrorKind::Truncated, expected, bytes.len()));
    };
    let expected_len = match family {
        IPV4 => 4,
        IPV6 => 16,
        _ => return Err(error(ValueErrorKind::UnexpectedByte, expected, 0)),
    };
    if is_cidr > 1 {
        return Err(error(ValueErrorKind::UnexpectedByte, expected, 2));
    }
    if len != expected_len {
        return Err(error(ValueErrorKind::UnexpectedByte, expected, 3));
    }
    let address = if let Ok(octets) = <[u8; 4]>::try_from(rest)
        && family == IPV4
    {
        IpAddr::V4(Ipv4Addr::from(octets))
    } else if let Ok(octets) = <[u8; 16]>::try_from(rest)
        && family == IPV6
    {
        IpAddr::V6(Ipv6Addr::from(octets))
    } else if rest.len() < usize::from(len) {
        return Err(error(ValueErrorKind::Truncated, expected, bytes.len()));
    } else {
        return Err(error(
            ValueErrorKind::TrailingBytes,
            expected,
            4 + usize::from(len),
        ));
    };
    if prefix > bits(address) {
        return Err(error(ValueErrorKind::OutOfRange, expected, 1));
    }
    Ok((address, prefix))
}

/// As the server writes it.
impl fmt::Display for Inet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host(self.address, f)?;
        if self.prefix == bits(self.address) {
            return Ok(());
        }
        write!(f, "/{}", self.prefix)
    }
}

/// As the server writes it.
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_host(self.address, f)?;
        write!(f, "/{}", self.prefix)
    }
}

// inet_net_ntop.c: inet_net_ntop_ipv6
fn write_host(address: IpAddr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Unlike Rust's standard library, the server writes IPv4-compatible addresses with dots.
    match address {
        IpAddr::V6(address) if address.to_bits() >> 32 == 0 && address.to_bits() >> 16 != 0 => {
            let [.., a, b, c, d] = address.octets();
            write!(f, "::{a}.{b}.{c}.{d}")
        }
        address => fmt::Display::fmt(&address, f),
    }
}
