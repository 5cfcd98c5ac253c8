//! A damaged component is refused, or still has a valid description. It never causes a panic.

use host::config::Ceilings;
use host::plugin::load::Loader;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use test_kit::mutate;

use crate::support::fixture;

#[test]
fn a_damaged_component_is_refused_or_describes_itself_well() {
    let seed = std::fs::read(fixture("contract-1.0.0.wasm")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.wasm");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ceilings = Ceilings::default();
    let engine = host::engine::build(1, &ceilings).unwrap();
    let loader = Loader::new(engine, ceilings, None).unwrap();
    std::fs::write(folder.path().join("damaged.toml"), "[grants]\nnet = []\n").unwrap();
    std::fs::write(&path, &seed).unwrap();
    runtime.block_on(loader.load(&path)).unwrap();
    // Each case that is still a component is compiled twice.
    let config = Config { cases: 24, failure_persistence: None, ..Config::default() };
    let changes = prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..3);
    TestRunner::new(config)
        .run(&changes, |changes| {
            std::fs::write(&path, mutate(&seed, &changes)).unwrap();
            if let Ok(version) = runtime.block_on(loader.load(&path)) {
                prop_assert!(!version.descriptor.name.is_empty());
                prop_assert!((1..=64).contains(&version.task_types().count()));
            }
            Ok(())
        })
        .unwrap();
}
