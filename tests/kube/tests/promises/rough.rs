//! Promises whose tests take something away that others need: they run alone, after all others.

mod chart;
mod control;
mod nodes;
mod scaling;

/// Puts something right at the end of a test, however it ends.
struct Afterwards<F: FnMut()>(F);

impl<F: FnMut()> Drop for Afterwards<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
