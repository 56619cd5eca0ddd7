//! How many edges an audience needs, and which may go. Pure: what was seen and the time come in.
//!
//! One set of rules ([`Direction`]) serves both ways of scaling: `render` writes them into the autoscaler of Kubernetes,
//! and [`wanted`] acts on them where no autoscaler does (`lectern local`, backend `operator`). [`burst`] is what
//! outruns the autoscaler's period, [`deletion`] says which edges may go first.

pub mod burst;
pub mod deletion;
mod load;
mod memory;
mod policy;
mod rules;

pub use burst::Burst;
pub use load::{Kind, Load, demand, refused_people, target, wish};
pub use memory::Memory;
pub use policy::{Fleet, wanted};
pub use rules::{Amount, DOWN, Direction, Rules, Step, UP};
