//! Any bytes as a file of the language.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| mabuild_tests::fuzz::kdl(bytes));
