//! The same, asked of Rust.
//!
//! rules: clock
//! says: depends on the clock
//! instead: take a moment that the row has

use crate::add;

up!(manager => {
    add::column(manager, "user", "welcomed_at", "INTEGER NULL").await?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    crate::run(manager, &format!("UPDATE user SET welcomed_at = {now} WHERE welcomed_at IS NULL")).await
});
