//! What a server may send while streaming, through socket, channel, driver and assembler.

/// How many cuts, the cuts, and the bytes of the connection behind CopyBoth.
pub fn stream(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let (cuts, bytes) = rest.split_at(usize::from(count % 8).min(rest.len()));
    walstream::fuzzing::feed(bytes, cuts);
}

/// An input for [`stream`]: as many of these frames as a fuzzer likes, each in its CopyData, in uneven pieces.
pub fn connection<'a>(frames: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    const MOST: usize = 32 << 10;
    let mut input = vec![3, 6, 254, 70];
    for frame in frames {
        let Ok(length) = u32::try_from(frame.len() + 4) else {
            break;
        };
        if input.len() + frame.len() > MOST {
            break;
        }
        input.push(b'd');
        input.extend(length.to_be_bytes());
        input.extend_from_slice(frame);
    }
    input
}
