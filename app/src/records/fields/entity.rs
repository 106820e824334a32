//! What does the table `record_field` hold?

use sea_orm::entity::prelude::*;

/// A field of a record.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "record_field")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub record_id: i64,
    /// The key of the suggestion that it fills in (`kind.rs`); none for a field of the household's own.
    #[sea_orm(column_type = "Text", nullable)]
    pub key: Option<String>,
    #[sea_orm(column_type = "Text")]
    pub label: String,
    /// As people read it; of money it is empty.
    #[sea_orm(column_type = "Text")]
    pub value: String,
    /// Money, in the smallest unit of the currency, such as cents.
    pub amount: Option<i64>,
    /// The currency of the amount, by ISO 4217.
    #[sea_orm(column_type = "Text", nullable)]
    pub currency: Option<String>,
    /// Orders the fields of a record, from 0 on.
    pub position: i64,
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
