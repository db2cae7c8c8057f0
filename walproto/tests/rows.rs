//! Rows of real servers, read into types of a user's.

mod rows {
    pub(crate) mod replay;

    mod allocations;
    mod changes;
    mod errors;
    pub(crate) mod made;
    mod properties;
    mod same;
    mod shapes;
}
