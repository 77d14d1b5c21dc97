//! An error answer: the status from the first two bytes, the rest is the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_catalog::fuzzing;

fuzz_target!(|data: (u16, &[u8])| fuzzing::error(data.0, data.1));
