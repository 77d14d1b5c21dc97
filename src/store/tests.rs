//! Tests of the store as a whole.

mod cookbook;
mod replay;

use super::is_new_enough;

#[test]
fn compares_versions_as_numbers() {
    for (version, expected) in [
        ("3.51.3", true),
        ("3.51.10", true),
        ("3.52.0", true),
        ("4.0.0", true),
        ("3.51.2", false),
        ("3.9.99", false),
        ("", false),
    ] {
        assert_eq!(is_new_enough(version), expected, "{version}");
    }
}
