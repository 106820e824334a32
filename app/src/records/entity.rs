//! What does the table `record` hold? The migrator makes it; this is the app's view of it.

use sea_orm::entity::prelude::*;

use super::when::{Day, Moment};

/// A record of the binder.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "record")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    #[sea_orm(column_type = "Text")]
    pub title: String,
    #[sea_orm(column_type = "Text")]
    pub category: String,
    #[sea_orm(column_type = "Text")]
    pub notes: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub due_date: Option<Day>,
    #[sea_orm(column_type = "Text")]
    pub created_at: Moment,
    #[sea_orm(column_type = "Text")]
    pub updated_at: Moment,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
