//! Any bytes as a path and an ignore file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mabuild_tests::fuzz::ignore(bytes));
