//! What `cargo migration new` wrote for each change of `tests/new/changes.rs`, each as the fourth migration.

use migrator::{MigrationTrait, Release};

/// A migration's name without its number, and all migrations to this one.
pub(crate) type Written = (&'static str, fn() -> Vec<Box<dyn MigrationTrait>>);

macro_rules! migrations {
    ($($module:ident $name:literal)*) => {
        $(mod $module;)*

        pub(crate) const WRITTEN: &[Written] = &[$(($name, || after_the_third(Box::new($module::Migration)))),*];
    };
}

migrations! {
    m0004_text_or_null "text_or_null"
    m0004_text_with_default "text_with_default"
    m0004_boolean "boolean"
    m0004_number "number"
    m0004_real "real"
    m0004_bytes "bytes"
    m0004_moment "moment"
    m0004_one_of_some "one_of_some"
    m0004_checked "checked"
    m0004_keyword "keyword"
    m0004_indexed "indexed"
    m0004_unique "unique"
    m0004_unique_together "unique_together"
    m0004_refers "refers"
    m0004_back_filled "back_filled"
    m0004_without_rowid "without_rowid"
    m0004_table "table"
    m0004_table_that_refers "table_that_refers"
    m0004_table_of_two_keys "table_of_two_keys"
    m0004_table_of_names "table_of_names"
    m0004_table_of_keywords "table_of_keywords"
    m0004_table_of_itself "table_of_itself"
    m0004_index "index"
    m0004_partial_index "partial_index"
    m0004_index_of_an_expression "index_of_an_expression"
    m0004_unique_index "unique_index"
    m0004_search "search"
    m0004_table_with_search "table_with_search"
    m0004_table_with_trigger "table_with_trigger"
    m0004_renamed "renamed"
    m0004_renamed_or_null "renamed_or_null"
    m0004_null_is_allowed "null_is_allowed"
    m0004_null_and_default "null_and_default"
    m0004_default "default"
    m0004_left_out "left_out"
    m0004_several "several"
    m0004_by_hand "by_hand"
}

/// Returns the migrations of 0.5.0, from which all of these were written, and `last`.
fn after_the_third(last: Box<dyn MigrationTrait>) -> Vec<Box<dyn MigrationTrait>> {
    let mut all = (Release::current().migrations)();
    all.truncate(3);
    all.push(last);
    all
}
