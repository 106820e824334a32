//! A key that nobody can guess is random, and not from the clock.
//!
//! notes: is random, which is allowed

use crate::add;

up!(manager => {
    add::column(manager, "user", "feed_key", "TEXT NULL").await?;
    crate::run(manager, "UPDATE user SET feed_key = lower(hex(randomblob(16))) WHERE feed_key IS NULL").await
});
