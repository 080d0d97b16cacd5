//! `patterns` of the targets, for libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| airssys_fuzz::patterns(data));
