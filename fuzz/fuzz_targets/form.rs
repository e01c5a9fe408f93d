//! See the property of the same name.

#![no_main]

#[path = "../../tests/properties/form.rs"]
mod form;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| form::check(bytes));
