//! The relay's sending side: where edges are, and one link to each of them for every stream.

pub mod discovery;
pub(crate) mod lanes;
mod link;
pub mod links;
pub mod source;
