#![no_main]

use tokend::config::Inputs;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let resolved = Inputs { file: Some(tokend_fuzz::file(bytes)), ..Inputs::default() }.resolve();
    let _ = (resolved.shown(), resolved.config());
});
