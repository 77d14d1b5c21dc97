//! A configuration file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use model_catalog::fuzzing;

fuzz_target!(|text: &str| fuzzing::configuration(text));
