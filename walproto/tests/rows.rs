//! Rows of real servers, read into types of a user's.

mod rows {
    pub(crate) mod replay;

    mod changes;
    mod same;
}
