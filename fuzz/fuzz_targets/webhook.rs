//! See the property of the same name.

#![no_main]

#[path = "../../tests/properties/json.rs"]
mod json;
#[path = "../../tests/properties/update_id.rs"]
mod update_id;
#[path = "../../tests/properties/webhook.rs"]
mod webhook;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| webhook::check(bytes));
