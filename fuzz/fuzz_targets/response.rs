//! See the property of the same name.

#![no_main]

#[path = "../../tests/properties/json.rs"]
mod json;
#[path = "../../tests/properties/response.rs"]
mod response;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| response::check(bytes));
