//! See the property of the same name.

#![no_main]

#[path = "../../tests/properties/command.rs"]
mod command;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| command::check(bytes));
