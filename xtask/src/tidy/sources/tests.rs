use super::*;

fn write(root: &Path, name: &str, text: &str) {
    let file = root.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

#[test]
fn a_changed_contract_is_found_and_a_missing_copy_explained() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    write(root, "wit/log.wit", "interface log {}");
    let missing = frozen_contract(root).unwrap();
    assert!(missing[0].to_do.starts_with("mkdir -p wit/released/1.0.0"), "{missing:?}");

    write(root, "wit/released/1.0.0/log.wit", "interface log {}");
    assert_eq!(frozen_contract(root).unwrap(), []);

    write(root, "wit/log.wit", "interface log { }");
    assert_eq!(frozen_contract(root).unwrap()[0].file, "wit/log.wit");
    fs::remove_file(root.join("wit/log.wit")).unwrap();
    assert_eq!(frozen_contract(root).unwrap().len(), 1);
}

#[test]
fn lints_are_taken_only_in_their_section() {
    assert!(takes_workspace_lints("[package]\nname = \"a\"\n[lints]\nworkspace = true\n"));
    assert!(!takes_workspace_lints("[lints.rust]\nunsafe_code = \"deny\"\n"));
    assert!(!takes_workspace_lints("[dependencies]\nworkspace = true\n"));
}

#[test]
fn keys_are_spelled_in_code_only_by_one_file() {
    let lines = |source: &str| -> Vec<usize> { spelled_keys(source).collect() };
    let none: [usize; 0] = [];
    assert_eq!(lines("let key = \"freefans:tasks:queue\";"), [1]);
    assert_eq!(lines("let key = queue.keys().scoped(\"menu\");"), [1]);
    assert_eq!(lines("use generated::freefans::plugin::types;"), none);
    assert_eq!(lines("/// In `freefans:tasks:queue`.\nlet x = \"freefans:plugin/log\";"), none);
    assert_eq!(
        lines("fn a() {}\n#[cfg(test)]\nmod tests { const K: &str = \"freefans:\"; }"),
        none
    );
}
