//! Entities as a developer writes them: those of the app as they are, and each change of one.
#![allow(unreachable_pub, reason = "SeaORM's macros make public types")]

use migrator::developer::entity::Entity;

/// Makes an entity of these fields and relations.
macro_rules! entity {
    ($module:ident, $table:literal, { $($fields:tt)* } $({ $($relations:tt)* })?) => {
        pub(crate) mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $table)]
            pub struct Model {
                $($fields)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {
                $($($relations)*)?
            }

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

/// Makes the entity of records with more fields.
macro_rules! record_with {
    ($module:ident, { $($more:tt)* } $({ $($relations:tt)* })?) => {
        entity! { $module, "record", {
            #[sea_orm(primary_key)]
            pub id: i64,
            pub title: String,
            pub category: String,
            pub notes: String,
            pub due_date: Option<String>,
            pub created_at: String,
            pub updated_at: String,
            pub owner_id: Option<i64>,
            pub visibility: String,
            pub version: i64,
            pub title_key: Option<Vec<u8>>,
            $($more)*
        } $({ $($relations)* })? }
    };
}

/// Makes the entity of sessions without some fields, and with others.
macro_rules! session_with {
    ($module:ident, { $($more:tt)* }) => {
        entity! { $module, "session", {
            #[sea_orm(primary_key)]
            pub id: i64,
            pub user_id: i64,
            pub token_hash: String,
            pub method: String,
            pub address: String,
            pub created_at: String,
            pub last_seen_at: String,
            pub expires_at: String,
            $($more)*
        } }
    };
}

// As they are.

record_with! { record, {} }
session_with! { session, { pub user_agent: String, } }
entity! { user, "user", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub email: String,
    pub role: String,
    pub disabled: bool,
    pub created_at: String,
    pub updated_at: String,
} }
entity! { totp, "totp", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: i64,
    pub secret: String,
    pub confirmed_at: Option<String>,
    pub last_step: Option<i64>,
    pub created_at: String,
} }
entity! { change, "record_change", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub record_id: i64,
    pub is_gone: bool,
} }

/// Returns the app's entities as they are.
pub(crate) fn all() -> Vec<Entity> {
    vec![
        of::<record::Entity>(),
        of::<session::Entity>(),
        of::<user::Entity>(),
        of::<totp::Entity>(),
        of::<change::Entity>(),
    ]
}

/// Returns an entity as data.
pub(crate) fn of<E: sea_orm::EntityTrait>() -> Entity {
    Entity::of::<E>().unwrap()
}

// With another column.

record_with! { text_or_null, { pub place: Option<String>, } }
record_with! { text_with_default, { #[sea_orm(default_value = "it's \"blue\"")] pub colour: String, } }
record_with! { boolean, { #[sea_orm(default_value = false)] pub is_pinned: bool, } }
record_with! { number, { #[sea_orm(default_value = -1)] pub pages: i32, } }
record_with! { real, { pub price: Option<f64>, #[sea_orm(default_value = 0.5)] pub weight: f64, } }
record_with! { bytes, { pub thumbnail: Option<Vec<u8>>, } }
record_with! { moment, { pub remind_at: Option<TimeDateTimeWithTimeZone>, pub paid_on: Option<TimeDate>, } }
record_with! { one_of_some, { #[sea_orm(default_value = "paper")] pub kind: super::Kind, } }
record_with! { checked, { #[sea_orm(default_value = 0, extra = "CHECK (stars BETWEEN 0 AND 5)")] pub stars: i64, } }
record_with! { keyword, { #[sea_orm(column_name = "order")] pub position: Option<i64>, #[sea_orm(column_name = "the place")] pub place: Option<String>, } }
record_with! { indexed, { #[sea_orm(indexed)] pub priority: Option<i64>, } }
record_with! { unique, { #[sea_orm(unique)] pub code: Option<String>, } }
record_with! { unique_together, { #[sea_orm(unique_key = "shelf_and_slot")] pub shelf: Option<i64>, #[sea_orm(unique_key = "shelf_and_slot")] pub slot: Option<i64>, } }
record_with! { sized, { pub size: Option<i64>, } }
record_with! { refers, { pub assignee_id: Option<i64>, } {
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::AssigneeId", to = "super::user::Column::Id", on_delete = "SetNull")]
    Assignee,
} }
record_with! { in_a_folder, { pub folder_id: Option<i64>, #[sea_orm(default_value = "")] pub label: String, } {
    #[sea_orm(belongs_to = "super::folder::Entity", from = "Column::FolderId", to = "super::folder::Column::Id")]
    Folder,
} }
entity! { user_with_locale, "user", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub email: String,
    pub role: String,
    pub disabled: bool,
    pub created_at: String,
    pub updated_at: String,
    #[sea_orm(default_value = "en")]
    pub locale: String,
} }
entity! { change_with_reason, "record_change", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub record_id: i64,
    pub is_gone: bool,
    pub reason: Option<String>,
} }

#[derive(Clone, Copy, Debug, PartialEq, Eq, sea_orm::EnumIter, sea_orm::DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Kind {
    Paper,
    Picture,
}

// Another table.

entity! { chore, "chore", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    #[sea_orm(default_value = "")]
    pub notes: String,
    #[sea_orm(default_value = false)]
    pub done: bool,
    #[sea_orm(indexed)]
    pub due_date: Option<String>,
} }
entity! { reminder, "reminder", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: i64,
    pub record_id: Option<i64>,
    pub at: String,
} {
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::UserId", to = "super::user::Column::Id")]
    User,
    #[sea_orm(belongs_to = "super::record::Entity", from = "Column::RecordId", to = "super::record::Column::Id", on_delete = "SetNull")]
    Record,
} }
entity! { tag, "record_tag", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub tag: String,
    pub added_at: Option<String>,
} {
    #[sea_orm(belongs_to = "super::record::Entity", from = "Column::RecordId", to = "super::record::Column::Id")]
    Record,
} }
entity! { setting, "setting", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub value: String,
} }
entity! { group, "group", {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub name: String,
    #[sea_orm(unique_key = "owner_and_order")]
    pub owner: String,
    #[sea_orm(unique_key = "owner_and_order", column_name = "order")]
    pub position: i64,
} }
entity! { folder, "folder", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub parent_id: Option<i64>,
} {
    #[sea_orm(belongs_to = "Entity", from = "Column::ParentId", to = "Column::Id", on_delete = "SetNull")]
    Parent,
} }
// What is there is changed.

record_with! { remarks, { #[sea_orm(default_value = "")] pub remarks: String, } }
record_with! { due_on, { pub due_on: Option<String>, } }
entity! { email_or_null, "user", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub email: Option<String>,
    pub role: String,
    pub disabled: bool,
    pub created_at: String,
    pub updated_at: String,
} }
entity! { title_or_null, "record", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub title: Option<String>,
    pub category: String,
    pub notes: String,
    pub due_date: Option<String>,
    pub created_at: String,
    #[sea_orm(default_value = "never")]
    pub updated_at: String,
    pub owner_id: Option<i64>,
    pub visibility: String,
    pub version: i64,
    pub title_key: Option<Vec<u8>>,
} }
entity! { role_by_default, "user", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
    pub email: String,
    #[sea_orm(default_value = "guest")]
    pub role: String,
    pub disabled: bool,
    pub created_at: String,
    pub updated_at: String,
} }
session_with! { session_without_agent, {} }
session_with! { session_with_browser, { #[sea_orm(default_value = "")] pub browser: String, } }
entity! { record_without_due_date, "record", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub title: String,
    pub category: String,
    pub notes: String,
    pub created_at: String,
    pub updated_at: String,
    pub owner_id: Option<i64>,
    pub visibility: String,
    pub version: i64,
    pub title_key: Option<Vec<u8>>,
} }
entity! { record_with_deadline, "record", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub title: String,
    pub category: String,
    pub notes: String,
    pub deadline: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    pub owner_id: Option<i64>,
    pub visibility: String,
    pub version: i64,
    pub title_key: Option<Vec<u8>>,
} }

// What no migration makes of what is there.

record_with! { without_default, { pub colour: String, } }
record_with! { unique_with_default, { #[sea_orm(unique, default_value = "")] pub code: String, } }
record_with! { default_of_another_type, { #[sea_orm(default_value = "many")] pub pages: i64, } }
record_with! { default_of_the_clock, { #[sea_orm(default_expr = "Expr::current_timestamp()")] pub seen_at: String, } }
record_with! { refers_and_has_to, { #[sea_orm(default_value = 1)] pub assignee_id: i64, } {
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::AssigneeId", to = "super::user::Column::Id")]
    Assignee,
} }
record_with! { refers_to_a_name, { pub assignee: Option<String>, } {
    #[sea_orm(belongs_to = "super::user::Entity", from = "Column::Assignee", to = "super::user::Column::Name")]
    Assignee,
} }
record_with! { another_key, { #[sea_orm(primary_key, auto_increment = false)] pub household: i64, } }
entity! { change_of_a_record, "record_change", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub record_id: i64,
    pub is_gone: bool,
} {
    #[sea_orm(belongs_to = "super::record::Entity", from = "Column::RecordId", to = "super::record::Column::Id")]
    Record,
} }
entity! { change_joined, "record_change", {
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
    pub record_id: i64,
    pub is_gone: bool,
} {
    #[sea_orm(belongs_to = "super::record::Entity", from = "Column::RecordId", to = "super::record::Column::Id", skip_fk)]
    Record,
} }
entity! { another_default, "record", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub title: String,
    #[sea_orm(default_value = "papers")]
    pub category: String,
    pub notes: String,
    #[sea_orm(default_value = "2030-01-01")]
    pub due_date: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    pub owner_id: Option<i64>,
    pub visibility: String,
    pub version: i64,
    pub title_key: Option<Vec<u8>>,
} }
entity! { checked_visibility, "record", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub title: String,
    pub category: String,
    pub notes: String,
    pub due_date: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    pub owner_id: Option<i64>,
    #[sea_orm(extra = "CHECK (visibility IN ('household', 'private'))")]
    pub visibility: String,
    pub version: i64,
    pub title_key: Option<Vec<u8>>,
} }
record_with! { remarks_and_null, { #[sea_orm(default_value = "")] pub due_on: String, } }
record_with! { pages_of_notes, { #[sea_orm(default_value = 0)] pub pages: i64, } }
record_with! { unique_remarks, { #[sea_orm(unique)] pub remarks: Option<String>, } }
entity! { comment, "comment", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub record_id: i64,
    pub text: String,
} {
    #[sea_orm(belongs_to = "super::record::Entity", from = "Column::RecordId", to = "super::record::Column::Id", on_delete = "Cascade")]
    Record,
} }
entity! { totp_of_numbers, "totp", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: i64,
    pub secret: i64,
    #[sea_orm(unique)]
    pub confirmed_at: String,
    pub last_step: Option<i64>,
    pub created_at: String,
} }
entity! { user_with_unique_name, "user", {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(unique)]
    pub name: String,
    pub email: String,
    pub role: String,
    pub disabled: bool,
    pub created_at: String,
    pub updated_at: String,
} }
entity! { person, "person", {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub name: String,
} }
entity! { amount, "amount", {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(column_type = "Decimal(Some((10, 2)))")]
    pub cents: String,
} }
