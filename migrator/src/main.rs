//! Hearth's migrator.
fn main() {}
