//! See the property of the same name.

#![no_main]
#![allow(dead_code, reason = "each target uses its own part of the properties")]

#[path = "../../tests/properties/mod.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::address::check(bytes));
