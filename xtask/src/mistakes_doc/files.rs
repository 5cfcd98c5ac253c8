//! The file is no component, or one for another host.

use test_kit::DescribedGuest;

use super::mistake::Mistake;

/// `(module)` and `(component)`.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

pub(super) fn mistakes() -> Vec<Mistake> {
    let guest = DescribedGuest::new("tide", &["tide"]);
    let importing =
        |imports: &str| DescribedGuest { imports: imports.to_owned(), ..guest.clone() }.build();
    let whole = guest.build();
    let half = whole.get(..whole.len() / 2).unwrap_or_default().to_vec();
    vec![
        Mistake::checked(
            "a module in place of a component (built for `wasm32-wasip1` or `wasm32-unknown-unknown`)",
            MODULE.to_vec(),
        ),
        Mistake::checked(
            "the source in place of the component",
            b"import tide\n\ndef handle(task): ...\n".to_vec(),
        ),
        Mistake::checked("WebAssembly as text", b"(component)\n".to_vec()),
        Mistake::checked("a compressed file", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        Mistake::checked("an empty file, because a build or a copy failed", Vec::new()),
        Mistake::checked("half of the file, because a copy was cut off", half),
        Mistake::shown("a file that is not there", "check tide.wasm"),
        Mistake::shown("a file with a name that is none", "check tide.v2.wasm")
            .with("tide.v2.wasm", whole),
        Mistake::checked("a component of another world", COMPONENT.to_vec()),
        Mistake::checked(
            "built for a later contract, of which only types are imported",
            importing("(import \"freefans:plugin/types@2.0.0\" (instance))"),
        ),
        Mistake::checked(
            "built for a contract before the first release",
            importing("(import \"freefans:plugin/log@0.9.0\" (instance))"),
        ),
        Mistake::checked(
            "an import that no worker has",
            importing("(import \"corp:shell/run@1.0.0\" (instance (export \"run\" (func))))"),
        ),
        Mistake::checked(
            "requests, without a grant in the settings",
            importing("(import \"wasi:http/outgoing-handler@0.2.6\" (instance))"),
        ),
    ]
}
