#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| tokend::fuzzing::pem(text));
