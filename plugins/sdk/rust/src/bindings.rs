//! Generated from the contract.

wit_bindgen::generate!({ path: "wit", world: "plugin", pub_export_macro: true });
