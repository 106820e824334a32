//! Hearth's supervisor.
fn main() {}
