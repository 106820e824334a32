//! What does the table `record_tag` hold?
//!
//! There is no table of tags: a tag is there as long as a record has it, and nobody learns by its number or its spelling what
//! another's private records are marked with.

use sea_orm::entity::prelude::*;

/// That a record has a tag.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "record_tag")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub record_id: i64,
    /// Equal for two spellings of one name (`fold::category_key`).
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub name_key: String,
    #[sea_orm(column_type = "Text")]
    pub name: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "crate::records::entity::Entity",
        from = "Column::RecordId",
        to = "crate::records::entity::Column::Id"
    )]
    Record,
}

impl ActiveModelBehavior for ActiveModel {}
