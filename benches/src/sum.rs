//! What every contestant adds up, so that none can skip a field and all can be compared.

/// The sum over all fields and columns that a contestant has visited.
///
/// Cheap on purpose: it touches a value's length and both ends, so what is measured is the parser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// As a number, to be told to another process.
    pub fn value(self) -> u64 {
        self.0
    }

    /// A fixed field, or a count.
    #[inline(always)]
    pub fn number(&mut self, number: impl Into<u64>) {
        self.0 = self.0.wrapping_add(number.into());
    }

    /// A name, or the value of a column.
    #[inline(always)]
    pub fn bytes(&mut self, value: &[u8]) {
        self.number(value.len() as u64);
        if let (Some(first), Some(last)) = (value.first(), value.last()) {
            self.number(u64::from(*first) << 8 | u64::from(*last) << 24);
        }
    }

    /// A column that is NULL.
    #[inline(always)]
    pub fn null(&mut self) {
        self.number(1_u64 << 40);
    }

    /// A column whose TOASTed value did not change.
    #[inline(always)]
    pub fn unchanged(&mut self) {
        self.number(1_u64 << 48);
    }
}
