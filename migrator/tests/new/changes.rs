//! Each change of an entity, and the flags that go with it.

use clap::Parser;
use migrator::developer::entity::Entity;
use migrator::developer::new::Wishes;

use crate::entities;

/// A change of the app's entities.
pub(crate) struct Change {
    /// The migration that is made of it.
    pub(crate) name: &'static str,
    /// The entities after it.
    pub(crate) entities: Vec<Entity>,
    /// What is said beside.
    pub(crate) wishes: Wishes,
}

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    wishes: Wishes,
}

/// Returns the app's entities with these in the place of those of the same table.
fn change(name: &'static str, changed: Vec<Entity>, flags: &[&str]) -> Change {
    let mut entities = entities::all();
    entities.retain(|own| !changed.iter().any(|new| new.table == own.table));
    entities.extend(changed);
    let arguments = ["new"].iter().chain(flags);
    Change { name, entities, wishes: Flags::parse_from(arguments).wishes }
}

/// Returns those that are written, each as `migrator/examples/written/migrations` has it.
pub(crate) fn written() -> Vec<Change> {
    use crate::entities::*;
    vec![
        // A column.
        change("text_or_null", vec![of::<text_or_null::Entity>()], &[]),
        change("text_with_default", vec![of::<text_with_default::Entity>()], &[]),
        change("boolean", vec![of::<boolean::Entity>()], &[]),
        change("number", vec![of::<number::Entity>()], &[]),
        change("real", vec![of::<real::Entity>()], &[]),
        change("bytes", vec![of::<bytes::Entity>()], &[]),
        change("moment", vec![of::<moment::Entity>()], &[]),
        change("one_of_some", vec![of::<one_of_some::Entity>()], &[]),
        change("checked", vec![of::<checked::Entity>()], &[]),
        change("keyword", vec![of::<keyword::Entity>()], &[]),
        change("indexed", vec![of::<indexed::Entity>()], &[]),
        change("unique", vec![of::<unique::Entity>()], &[]),
        change("unique_together", vec![of::<unique_together::Entity>()], &[]),
        change("refers", vec![of::<refers::Entity>()], &[]),
        change("back_filled", vec![of::<sized::Entity>()], &["--back-fill", "record.size=length(notes)"]),
        change(
            "without_rowid",
            vec![of::<change_with_reason::Entity>()],
            &["--back-fill", "record_change.reason='before'"],
        ),
        // A table.
        change("table", vec![of::<chore::Entity>()], &[]),
        change("table_that_refers", vec![of::<reminder::Entity>()], &[]),
        change("table_of_two_keys", vec![of::<tag::Entity>()], &[]),
        change("table_of_names", vec![of::<setting::Entity>()], &[]),
        change("table_of_keywords", vec![of::<group::Entity>()], &[]),
        change("table_of_itself", vec![of::<folder::Entity>()], &[]),
        // What an entity does not say.
        change("index", vec![], &["--index", "record(owner_id, due_date)"]),
        change("partial_index", vec![], &["--index", "record(due_date) WHERE due_date IS NOT NULL"]),
        change("index_of_an_expression", vec![], &["--index", "user(lower(name))"]),
        change("unique_index", vec![], &["--unique", "session(token_hash, user_id)"]),
        change("search", vec![], &["--search", "user(name, email)"]),
        change("table_with_search", vec![of::<chore::Entity>()], &["--search", "chore(name, notes)"]),
        change(
            "table_with_trigger",
            vec![of::<chore::Entity>()],
            &[
                "--trigger",
                "chore_done AFTER UPDATE OF done ON chore WHEN new.done BEGIN UPDATE chore SET due_date = NULL WHERE id = new.id; END",
            ],
        ),
        // What is there.
        change("renamed", vec![of::<remarks::Entity>()], &["--rename", "record.notes=remarks"]),
        change(
            "renamed_or_null",
            vec![of::<due_on::Entity>()],
            &["--rename", "record.due_date=due_on", "--index", "record(due_on, id)"],
        ),
        change("null_is_allowed", vec![of::<email_or_null::Entity>()], &[]),
        change("null_and_default", vec![of::<title_or_null::Entity>()], &[]),
        change("default", vec![of::<role_by_default::Entity>()], &[]),
        change("left_out", vec![of::<session_without_agent::Entity>()], &["--leave", "session.user_agent"]),
        // Several at once.
        change(
            "several",
            vec![of::<in_a_folder::Entity>(), of::<folder::Entity>(), of::<user_with_locale::Entity>()],
            &["--back-fill", "record.label=substr(title, 1, 20)", "--index", "record(label)"],
        ),
        change("by_hand", vec![], &["--empty"]),
    ]
}

/// Returns those of which no migration is made.
pub(crate) fn refused() -> Vec<Change> {
    use crate::entities::*;
    vec![
        change("without_default", vec![of::<without_default::Entity>()], &[]),
        change("unique_with_default", vec![of::<unique_with_default::Entity>()], &[]),
        change("default_of_another_type", vec![of::<default_of_another_type::Entity>()], &[]),
        change("default_of_the_clock", vec![of::<default_of_the_clock::Entity>()], &[]),
        change("refers_and_has_to", vec![of::<refers_and_has_to::Entity>()], &[]),
        change("refers_to_a_name", vec![of::<refers_to_a_name::Entity>()], &[]),
        change("another_key", vec![of::<another_key::Entity>()], &[]),
        change("cascade", vec![of::<comment::Entity>()], &[]),
        change("another_type_and_never_null_and_unique", vec![of::<totp_of_numbers::Entity>()], &[]),
        change("unique_over_rows", vec![of::<user_with_unique_name::Entity>()], &[]),
        change("another_default", vec![of::<another_default::Entity>()], &[]),
        change("checked_over_rows", vec![of::<checked_visibility::Entity>()], &[]),
        change("reference_of_rows", vec![of::<change_of_a_record::Entity>()], &[]),
        change("gone_and_has_to_be_written", vec![of::<session_without_agent::Entity>()], &[]),
        change("perhaps_renamed", vec![of::<record_with_deadline::Entity>()], &[]),
        change("perhaps_a_renamed_table", vec![of::<person::Entity>()], &[]).without("user"),
        change(
            "renamed_without_the_old_one",
            vec![of::<session_with_browser::Entity>()],
            &["--rename", "session.user_agent=browser"],
        ),
        change("renamed_to_another_type", vec![of::<pages_of_notes::Entity>()], &["--rename", "record.notes=pages"]),
        change("renamed_from_null", vec![of::<remarks_and_null::Entity>()], &["--rename", "record.due_date=due_on"]),
        change("renamed_to_unique", vec![of::<unique_remarks::Entity>()], &["--rename", "record.notes=remarks"]),
        change("renamed_to_nothing", vec![], &["--rename", "record.notes=remarks"]),
        change("renamed_what_is_not_there", vec![of::<remarks::Entity>()], &["--rename", "record.note=remarks"]),
        change("renamed_without_a_table", vec![of::<remarks::Entity>()], &["--rename", "notes=remarks"]),
        change("left_what_is_in_use", vec![], &["--leave", "session.user_agent"]),
        change("left_what_is_not_there", vec![], &["--leave", "session.agent"]),
        change("index_that_is_there", vec![], &["--index", "account(user_id)"]),
        change("index_of_nothing", vec![], &["--index", "record(colour)"]),
        change("index_without_columns", vec![], &["--index", "record"]),
        change("search_that_is_there", vec![], &["--search", "record(title)"]),
        change("search_of_nothing", vec![], &["--search", "chore(name)"]),
        change(
            "trigger_that_is_there",
            vec![],
            &["--trigger", "record_version AFTER INSERT ON record BEGIN SELECT 1; END"],
        ),
        change(
            "trigger_with_a_mistake",
            vec![],
            &["--trigger", "record_seen AFTER INSERT ON record BEGIN SELEC 1; END"],
        ),
        change("back_fill_of_nothing", vec![], &["--back-fill", "record.size=length(notes)"]),
        change("back_fill_with_a_mistake", vec![of::<sized::Entity>()], &["--back-fill", "record.size=lenght(notes)"]),
        change("Not a name", vec![of::<text_or_null::Entity>()], &[]),
        change("records", vec![of::<text_or_null::Entity>()], &[]),
    ]
}

/// Returns those in which an entity says less than the table has, so that there is nothing to do.
pub(crate) fn nothing() -> Vec<Change> {
    use crate::entities::*;
    vec![
        change("nothing", vec![], &[]),
        change("left_and_may_be_null", vec![of::<record_without_due_date::Entity>()], &[]),
        change("fewer_tables", vec![], &[]).without("totp"),
        change("a_relation_without_a_key", vec![of::<change_joined::Entity>()], &[]),
    ]
}

impl Change {
    fn without(mut self, table: &str) -> Change {
        self.entities.retain(|entity| entity.table != table);
        self
    }
}
