//! What earlier releases left in `migrator/releases` is whole, and what was released stays as it was.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

use migrator::Release;
use migrator::developer::{pins, releases, statements};

#[test]
fn released_migrations_execute_what_they_executed_when_they_were_released() {
    let directory = releases::root().join("migrator/releases");
    let newest = releases::all().unwrap().pop().unwrap();
    let released = newest.migrations().unwrap();
    assert!(!released.is_empty());
    let executed = statements::on_empty(&Release::current()).unwrap();
    for migration in &released {
        let executed = executed.iter().find(|one| one.migration == *migration).unwrap();
        assert_eq!(pins::compare(&directory, executed).unwrap(), None);
    }
}
