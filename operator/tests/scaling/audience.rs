//! How many people want to watch, over time.

/// Straight lines between (second, people).
#[derive(Clone, Debug)]
pub struct Audience(Vec<(u64, u64)>);

impl Audience {
    /// Points in order of time. Before the first and after the last the number stays.
    pub fn new(points: &[(u64, u64)]) -> Self {
        assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0), "points are in order of time");
        Self(points.to_vec())
    }

    /// Who wants to watch at this moment.
    pub fn at(&self, ms: u64) -> u64 {
        let after = self.0.iter().position(|(second, _)| second * 1_000 > ms);
        match after {
            None => self.0.last().unwrap().1,
            Some(0) => self.0[0].1,
            Some(after) => {
                let ((from, before), (to, then)) = (self.0[after - 1], self.0[after]);
                let (passed, whole) = ((ms - from * 1_000) as i128, ((to - from) * 1_000) as i128);
                u64::try_from(before as i128 + (then as i128 - before as i128) * passed / whole).unwrap()
            }
        }
    }
}

#[test]
fn people_come_and_go_along_straight_lines() {
    let audience = Audience::new(&[(10, 100), (20, 200), (30, 0)]);
    let at: Vec<u64> = [0, 10_000, 15_000, 20_000, 29_500, 40_000].iter().map(|ms| audience.at(*ms)).collect();
    assert_eq!(at, [100, 100, 150, 200, 10, 0]);
}
