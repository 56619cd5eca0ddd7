//! Chance that is the same in every run: SplitMix64.

/// A source of chance.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A fraction from 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// How many of `count` come about, each with this chance: a few are tossed, many are drawn around their mean (the
    /// sum of twelve fractions has the spread of one). Only operations that every machine rounds alike.
    pub fn of(&mut self, count: u64, chance: f64) -> u64 {
        if chance >= 1.0 {
            return count;
        }
        if count < 32 {
            return (0..count).filter(|_| self.unit() < chance).count() as u64;
        }
        let spread = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        let drawn = count as f64 * chance + spread * (count as f64 * chance * (1.0 - chance)).sqrt();
        (drawn.round().max(0.0) as u64).min(count)
    }

    /// `count` people spread over `places`, as random connections are.
    pub fn spread(&mut self, count: u64, places: usize) -> Vec<u64> {
        let mut left = count;
        (0..places)
            .map(|place| {
                let here = self.of(left, 1.0 / (places - place) as f64);
                left -= here;
                here
            })
            .collect()
    }
}
