//! Not every migration has something to do.

up!(manager => crate::run(manager, "SELECT 1").await);
