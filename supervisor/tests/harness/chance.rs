//! What tests with random moments share.

use std::thread;

/// Says in which case a test failed.
pub struct Telling(pub String);

impl Drop for Telling {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this was in the case: {}", self.0);
        }
    }
}

/// Returns the number in an environment variable, if it is set.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text}, which is no number")))
}
