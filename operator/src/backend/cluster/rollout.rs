//! What is done for an event beside its objects: which events may get a new image, how many edges there are, and which
//! pods go first or are replaced.

pub mod maintain;
pub mod scale;
pub mod slots;
