//! A unique column: what is not filled may be there often.

use crate::add;

up!(manager => {
    add::column(manager, "user", "nickname", "TEXT NULL").await?;
    add::unique_index(manager, "user_nickname", "user (nickname)").await
});
