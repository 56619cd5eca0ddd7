//! Promises whose tests disturb no other test: they run side by side.

mod access;
mod after;
mod by_hand;
mod bytes;
mod change;
mod isolation;
mod life;
mod loss;
mod scaling;
mod spec;
