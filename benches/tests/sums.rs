//! Everyone who reads a workload sees the same in it; with `--features peers` the other crates too.

use benches::contestant::{self, Role};
use benches::{Sum, Workload};

#[test]
fn all_contestants_sum_the_same() {
    let workloads = Workload::all();
    for workload in &workloads {
        let contestants = contestant::all();
        let sums: Vec<_> = contestants
            .iter()
            .filter(|contestant| contestant.role != Role::Copy)
            .filter(|contestant| (contestant.excuse)(workload).is_none())
            .map(|contestant| (contestant.name, (contestant.run)(workload)))
            .collect();
        let (_, first) = sums[0];
        assert_ne!(first, Sum::default());
        assert!(
            sums.iter().all(|(_, sum)| *sum == first),
            "{workload:?}: {sums:?}"
        );
    }
    assert!(workloads.iter().any(Workload::binary) && workloads.iter().any(Workload::streamed));
}
