//! A trigger needs a function of the program's.
//!
//! rules: plain-sqlite, older-statements
//! says: no such function: fold
//! instead: compute the value in Rust

use crate::add;

up!(manager => {
    add::column(manager, "record", "plain", "TEXT NULL").await?;
    add::trigger(manager, "record_plain", "AFTER INSERT ON record BEGIN UPDATE record SET plain = fold(new.title) WHERE id = new.id; END").await
});
