//! An edge as a whole.
