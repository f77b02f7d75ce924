//! libFuzzer on `tercet_fuzz_checks`, target `calls`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tercet_fuzz_checks::check("calls", data));
