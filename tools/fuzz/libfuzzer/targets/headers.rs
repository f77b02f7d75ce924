//! libFuzzer on `tercet_fuzz_checks`, target `headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tercet_fuzz_checks::check("headers", data));
