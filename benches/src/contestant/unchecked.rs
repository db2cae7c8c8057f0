//! The same walk without any check: what bounds checks cost, and nothing a parser may do.
#![expect(unsafe_code, reason = "to leave the checks out is the point")]

use crate::{Sum, Workload};

/// The sum of all messages.
///
/// Sound because a [`Workload`] cannot be had whose messages the checked walk did not pass, from the first byte to
/// the last; this walk takes the same steps.
#[inline(never)]
pub fn walk(workload: &Workload) -> Sum {
    let mut sum = Sum::default();
    let mut in_block = false;
    for message in workload.messages() {
        // SAFETY: the checked walk has passed this message in this state.
        unsafe { one(message.as_ptr(), &mut in_block, &mut sum) };
    }
    sum
}

// SAFETY (of all below): `at` points to bytes that the checked walk has read in the same order, so each read is
// inside the message.

#[inline(always)]
unsafe fn one(mut at: *const u8, in_block: &mut bool, sum: &mut Sum) {
    unsafe {
        let tag = u8(&mut at);
        sum.number(tag);
        if *in_block && matches!(tag, b'R' | b'I' | b'U') {
            sum.number(u32(&mut at));
        }
        match tag {
            b'I' => {
                sum.number(u32(&mut at));
                u8(&mut at);
                row(&mut at, sum);
            }
            b'U' => {
                sum.number(u32(&mut at));
                if u8(&mut at) != b'N' {
                    row(&mut at, sum);
                    u8(&mut at);
                }
                row(&mut at, sum);
            }
            b'B' => {
                sum.number(u64(&mut at));
                sum.number(u64(&mut at));
                sum.number(u32(&mut at));
            }
            b'C' => {
                sum.number(u8(&mut at));
                sum.number(u64(&mut at));
                sum.number(u64(&mut at));
                sum.number(u64(&mut at));
            }
            b'R' => {
                sum.number(u32(&mut at));
                name(&mut at, sum);
                name(&mut at, sum);
                sum.number(u8(&mut at));
                let count = u16(&mut at);
                sum.number(count);
                for _ in 0..count {
                    sum.number(u8(&mut at));
                    name(&mut at, sum);
                    sum.number(u32(&mut at));
                    sum.number(u32(&mut at));
                }
            }
            b'S' => {
                sum.number(u32(&mut at));
                sum.number(u8(&mut at));
                *in_block = true;
            }
            b'c' => {
                sum.number(u32(&mut at));
                sum.number(u8(&mut at));
                sum.number(u64(&mut at));
                sum.number(u64(&mut at));
                sum.number(u64(&mut at));
            }
            _ => *in_block = false,
        }
    }
}

#[inline(always)]
unsafe fn row(at: &mut *const u8, sum: &mut Sum) {
    unsafe {
        let count = u16(at);
        sum.number(count);
        for _ in 0..count {
            match u8(at) {
                b'n' => sum.null(),
                b'u' => sum.unchanged(),
                _ => {
                    let len = u32(at) as usize;
                    sum.bytes(std::slice::from_raw_parts(*at, len));
                    *at = at.add(len);
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn name(at: &mut *const u8, sum: &mut Sum) {
    unsafe {
        let mut len = 0;
        while *at.add(len) != 0 {
            len += 1;
        }
        sum.bytes(std::slice::from_raw_parts(*at, len));
        *at = at.add(len + 1);
    }
}

#[inline(always)]
unsafe fn array<const N: usize>(at: &mut *const u8) -> [u8; N] {
    unsafe {
        let array = at.cast::<[u8; N]>().read();
        *at = at.add(N);
        array
    }
}

#[inline(always)]
unsafe fn u8(at: &mut *const u8) -> u8 {
    let [byte] = unsafe { array(at) };
    byte
}

#[inline(always)]
unsafe fn u16(at: &mut *const u8) -> u16 {
    u16::from_be_bytes(unsafe { array(at) })
}

#[inline(always)]
unsafe fn u32(at: &mut *const u8) -> u32 {
    u32::from_be_bytes(unsafe { array(at) })
}

#[inline(always)]
unsafe fn u64(at: &mut *const u8) -> u64 {
    u64::from_be_bytes(unsafe { array(at) })
}
