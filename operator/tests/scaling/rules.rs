//! The model of the autoscaler against what was measured on a cluster, and our own loop against the model.

use crate::control::{autoscaler, event};
use crate::hpa::{Hpa, Scale};
use crate::random::Random;
use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use lectern::plan::{Observed, plan};
use lectern::scaling::{Fleet, Kind, Load, Memory, Rules, wanted};
use lectern::validate::Bounds;
use serde_json::json;
use std::collections::BTreeMap;

/// 700 viewers an edge.
fn object(min: u32) -> HorizontalPodAutoscaler {
    let event = event(&json!({ "edges": { "min": min, "max": 40, "viewersPerEdge": 1000 } }));
    autoscaler(&event, &plan(&event, &Observed::default(), Timestamp::UNIX_EPOCH))
}

/// A controller, its object and the Deployment.
struct Cluster {
    hpa: Hpa,
    object: HorizontalPodAutoscaler,
    replicas: u32,
    second: u64,
}

impl Cluster {
    fn new(min: u32, replicas: u32) -> Self {
        Self { hpa: Hpa::default(), object: object(min), replicas, second: 0 }
    }

    /// Syncs every 15 s for so long.
    fn go(&mut self, seconds: u64, viewers: Option<u64>) -> u32 {
        for _ in 0..seconds / 15 {
            self.second += 15;
            let metrics: BTreeMap<_, _> =
                viewers.map(|viewers| ("viewer_demand".to_owned(), viewers)).into_iter().collect();
            let scale = Scale { spec: self.replicas, status: self.replicas };
            self.replicas = self.hpa.sync(&self.object, scale, &metrics, self.second * 1_000);
        }
        self.replicas
    }
}

#[test]
fn the_model_does_what_was_measured() {
    let mut up = Cluster::new(1, 1);
    assert_eq!(up.go(15, Some(2_800)), 4, "1 to 4 in one sync");
    let mut gone = Cluster::new(1, 4);
    gone.go(15, Some(2_800));
    assert_eq!(gone.go(3_600, None), 4, "nothing goes while the metric is missing");
    assert_eq!(gone.go(15, Some(0)), 3, "and at once, by one step, when it is back after more than the window");
    let mut min = Cluster::new(1, 4);
    min.go(15, Some(2_800));
    min.object = object(7);
    assert_eq!(min.go(15, None), 7, "the minimum works without a metric");
    min.object = object(1);
    assert_eq!(
        min.go(15, Some(2_800)),
        4,
        "a lower minimum is not stabilised, and what has just come is not even paced"
    );
    let mut min = Cluster::new(7, 7);
    min.go(315, Some(2_800));
    min.object = object(1);
    assert_eq!(min.go(15, Some(2_800)), 6, "only what came longer ago is");
    let mut scaled = Cluster::new(1, 4);
    scaled.go(15, Some(2_800));
    scaled.replicas = 12;
    assert_eq!(scaled.go(15, Some(2_800)), 10, "so is a direct scale upward");
    scaled.replicas = 45;
    assert_eq!(scaled.go(15, Some(2_800)), 40, "max holds at once");
}

/// The same wishes every 15 s, at a full fleet: our own loop asks for what the autoscaler asks for.
#[test]
fn our_own_loop_asks_for_what_the_autoscaler_asks_for() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let start = 2 + random.below(38) as u32;
        let mut cluster = Cluster::new(2, start);
        let (mut own, mut memory, mut viewers) = (start, Memory::default(), u64::from(start) * 700);
        for step in 0..400_u64 {
            match random.below(12) {
                0 => viewers = random.below(40_000),
                1..=4 => viewers += random.below(2_000),
                5..=8 => viewers = viewers.saturating_sub(random.below(2_000)),
                _ => {}
            }
            let theirs = cluster.go(15, Some(viewers));
            let now = Timestamp::from_second(i64::try_from(cluster.second).unwrap()).unwrap();
            let loads = [Load { kind: Kind::Viewers, total: viewers, target: 700, capacity: 1_000 }];
            let fleet = Fleet { desired: own, existing: own };
            own = wanted(&Rules::default(), fleet, Bounds { min: 2, max: 40 }, Some(&loads), &mut memory, now);
            assert_eq!(own, theirs, "seed {seed}, step {step}, {viewers} viewers");
        }
    }
}
