//! Any bytes that a producer pushes as a task are read or refused, and what is read is written back unchanged.

use proptest::prelude::*;
use test_kit::mutate;

use super::*;

const SEEDS: &str = include_str!("../../tests/corpus/tasks.jsonl");

fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let seeds: Vec<&str> = SEEDS.lines().collect();
    let changes = prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..6);
    (prop::sample::select(seeds), changes)
        .prop_map(|(seed, changes)| mutate(seed.as_bytes(), &changes))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: test_kit::cases(4_096), ..ProptestConfig::default() })]

    #[test]
    fn a_task_that_is_read_is_written_as_the_same_task(bytes in damaged()) {
        if let Ok(task) = serde_json::from_slice::<Task>(&bytes) {
            prop_assert!(task.task_id.as_str().len() <= MAX_TASK_ID_BYTES);
            prop_assert!(task.task_type.as_str().parse::<TaskType>().is_ok());
            let written = serde_json::to_vec(&task).unwrap();
            prop_assert_eq!(serde_json::from_slice::<Task>(&written).unwrap(), task);
        }
    }

    #[test]
    fn a_salvaged_task_has_no_params(bytes in damaged()) {
        if let Some(task) = Task::salvage(&bytes) {
            prop_assert!(task.params.is_empty(), "it must not be run");
        }
    }

    #[test]
    fn a_result_that_is_read_is_written_as_the_same_result(bytes in any::<Vec<u8>>(), data in any::<String>()) {
        let _ = serde_json::from_slice::<TaskResult>(&bytes); // Read or refused.
        let result = TaskResult::success(data.into());
        let written = serde_json::to_vec(&result).unwrap();
        prop_assert_eq!(serde_json::from_slice::<TaskResult>(&written).unwrap(), result);
    }
}
