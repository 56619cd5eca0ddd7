//! What Lectern's programs have in common as processes of a machine, and nothing of what they are for.

pub mod child;
pub mod clock;
pub mod descriptors;
pub mod logs;
pub mod random;
pub mod signals;
