//! See the property of the same name.

#![no_main]

#[path = "../../tests/properties/address.rs"]
mod address;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| address::check(bytes));
