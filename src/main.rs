//! The `tokend` program.

fn main() {}
