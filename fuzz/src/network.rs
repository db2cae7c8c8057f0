//! Network addresses and bit strings.

use walproto::Column;
use walproto::value::{BitString, Cidr, Inet, MacAddr, MacAddr8};

use crate::printed::printed;

/// One value, read as each of the types in both forms.
pub fn network(data: &[u8]) {
    printed!(data, Inet, Cidr, MacAddr, MacAddr8, BitString<'_>);
    for column in [Column::Text(data), Column::Binary(data)] {
        if let Ok(bits) = column.value::<BitString<'_>>() {
            assert_eq!(bits.bits().count(), bits.len());
            for (index, bit) in bits.bits().enumerate() {
                assert_eq!(bits.get(index), Some(bit));
            }
            assert_eq!(bits.get(bits.len()), None);
        }
        if let Ok(cidr) = column.value::<Cidr>() {
            // Every network is an address too.
            let text = cidr.to_string();
            let inet: Inet = Column::Text(text.as_bytes()).value().expect("an address");
            assert_eq!((inet.address, inet.prefix), (cidr.address, cidr.prefix));
        }
    }
}
