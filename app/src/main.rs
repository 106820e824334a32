//! Hearth's app.
fn main() {}
