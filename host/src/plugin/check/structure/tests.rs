use super::*;

/// The header of a component.
const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";

/// LEB128, as lengths and counts are written.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [&[id], number(content.len()).as_slice(), content].concat()
}

fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [HEAD, &sections.concat()].concat()
}

/// A type section with one component type in another, `levels` deep.
fn nested_types(levels: usize) -> Vec<u8> {
    // A component type of one declaration, which is a type.
    let mut types = vec![1];
    for _ in 1..levels {
        types.extend([0x41, 1, 0x01]);
    }
    types.extend([0x41, 0]);
    component(&[section(7, &types)])
}

fn nested_components(levels: usize) -> Vec<u8> {
    (1..levels).fold(component(&[]), |inner, _| component(&[section(4, &inner)]))
}

/// Each component holds two instances of the one before it.
fn doubling(times: u8) -> Vec<u8> {
    let mut sections = vec![section(4, &component(&[]))];
    for before in 0..times {
        // Alias of the outer component `before`, then two instances of it.
        let alias = section(6, &[1, 0x04, 0x02, 1, before]);
        let instances = section(5, &[2, 0x00, 0, 0, 0x00, 0, 0]);
        sections.push(section(4, &component(&[alias, instances])));
    }
    sections.push(section(5, &[1, 0x00, times, 0]));
    component(&sections)
}

#[track_caller]
fn check_refused(wasm: &[u8], expected: &str) {
    match check(wasm) {
        Err(StructureError::TooMany { what, .. }) => assert_eq!(what, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nesting_has_a_bound() {
    check(&nested_types(TYPE_LEVELS)).unwrap();
    for levels in [TYPE_LEVELS + 1, 3_000, 1_000_000] {
        check_refused(&nested_types(levels), "levels of types within types");
    }
    check(&nested_components(COMPONENT_LEVELS)).unwrap();
    for levels in [COMPONENT_LEVELS + 1, 3_000] {
        check_refused(&nested_components(levels), "levels of components within components");
    }
}

#[test]
fn what_an_instance_brings_along_is_counted_before_it_is_made() {
    check(&doubling(8)).unwrap();
    check_refused(&doubling(30), "instances");
}

#[test]
fn counts_have_bounds() {
    let types = |count: usize| {
        // Each is a `bool`.
        let section = section(7, &[number(count), vec![0x7f; count]].concat());
        component(&[section])
    };
    check(&types(TYPES)).unwrap();
    check_refused(&types(TYPES + 1), "type definitions");
    // Imports of the value type `bool`, which ends before the names are read one by one.
    let imports = section(10, &number(NAMES + 1));
    check_refused(&component(&[imports]), "imports");
    let exports = section(11, &number(NAMES + 1));
    check_refused(&component(&[exports]), "exports");
    let modules = vec![section(1, b"\0asm\x01\0\0\0"); PARTS];
    check_refused(&component(&modules), "components and modules");
    check(&component(&modules[1..])).unwrap();
}

#[test]
fn a_component_that_takes_components_is_refused() {
    // A type section with an empty component type, and an import of it named `a`.
    let types = section(7, &[1, 0x41, 0]);
    let imports = section(10, &[1, 0x00, 1, b'a', 0x04, 0]);
    check_refused(&component(&[types, imports]), "components handed to components");
}

#[test]
fn what_is_cut_short_is_malformed() {
    let whole = nested_types(3);
    for cut in 0..whole.len() {
        // The header alone is a component without anything in it.
        let read = check(&whole[..cut]);
        assert_eq!(read.is_ok(), cut == HEAD.len(), "{cut}: {read:?}");
    }
}

/// A component of the contract's first release.
const RELEASED: &[u8] = include_bytes!("../../../../tests/fixtures/contract-1.0.0.wasm");

#[test]
fn the_names_are_those_that_the_compiler_sees() {
    let engine = wasmtime::Engine::default();
    let compiled = wasmtime::component::Component::from_binary(&engine, RELEASED).unwrap();
    let compiled = compiled.component_type();
    // It holds components with names of their own.
    let outline = check(RELEASED).unwrap();
    let imports: Vec<&str> = compiled.imports(&engine).map(|(name, _)| name).collect();
    assert_eq!(outline.imports, imports);
    let exports: Vec<&str> = compiled.exports(&engine).map(|(name, _)| name).collect();
    assert_eq!(outline.exports, exports);
    assert!(imports.len() > 3 && exports.contains(&"handle"), "{imports:?} {exports:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config {
        failure_persistence: None, cases: 2_048, ..Default::default()
    })]

    #[test]
    fn damage_is_looked_at_without_harm(
        changes in proptest::collection::vec(
            (proptest::arbitrary::any::<usize>(), proptest::arbitrary::any::<u8>(), proptest::arbitrary::any::<u8>()),
            0..6,
        ),
    ) {
        let _ = check(&test_kit::mutate(RELEASED, &changes)); // Taken or refused.
        // The first bytes hold the types: most of what is damaged there is damage to them.
        let _ = check(&test_kit::mutate(RELEASED.get(..4_096).unwrap_or(RELEASED), &changes));
    }
}
