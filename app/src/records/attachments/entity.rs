//! What do the tables `file` and `attachment` hold?

/// A content, which lies in `files/` under its hash.
pub mod file {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "file")]
    pub struct Model {
        /// BLAKE3 of the content, in 64 lower-case hexadecimal digits.
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
        pub hash: String,
        pub bytes: i64,
        #[sea_orm(column_type = "Text")]
        pub media_type: String,
        /// The text of a PDF: empty when it has none, absent until it was read.
        #[sea_orm(column_type = "Text", nullable)]
        pub text: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A file of a record.
pub mod attachment {
    use std::convert::Infallible;

    use poem_openapi::Enum;
    use sea_orm::{DeriveValueType, entity::prelude::*};

    use crate::datetime::Timestamp;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "attachment")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub record_id: i64,
        #[sea_orm(column_type = "Text", indexed)]
        pub hash: String,
        #[sea_orm(column_type = "Text")]
        pub name: String,
        pub role: Role,
        /// Orders the attachments of a record.
        pub position: i64,
        /// Who added it.
        pub added_by: Option<i64>,
        #[sea_orm(column_type = "Text")]
        pub added_at: Timestamp,
    }

    /// What an attachment is to its record.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, Default, DeriveValueType, Enum, serde::Serialize, serde::Deserialize,
    )]
    #[sea_orm(value_type = "String", column_type = "Text", from_str = "Role::stored", to_str = "Role::stored_name")]
    #[oai(rename = "AttachmentRole", rename_all = "snake_case")]
    #[serde(rename_all = "snake_case")]
    pub enum Role {
        Photo,
        Receipt,
        Manual,
        Document,
        #[default]
        Other,
    }

    impl Role {
        /// All roles.
        pub(crate) const ALL: [Self; 5] = [Self::Photo, Self::Receipt, Self::Manual, Self::Document, Self::Other];

        /// Returns its name in the API and in the database.
        pub(crate) fn name(self) -> &'static str {
            match self {
                Self::Photo => "photo",
                Self::Receipt => "receipt",
                Self::Manual => "manual",
                Self::Document => "document",
                Self::Other => "other",
            }
        }

        /// Returns the role that the database means; one that only a newer version knows is another one, and stays in the database as it
        /// is.
        #[expect(clippy::unnecessary_wraps, reason = "SeaORM asks for a Result")]
        fn stored(name: &str) -> Result<Self, Infallible> {
            Ok(Self::ALL.into_iter().find(|role| role.name() == name).unwrap_or_default())
        }

        #[expect(clippy::trivially_copy_pass_by_ref, reason = "SeaORM calls it so")]
        fn stored_name(&self) -> &'static str {
            self.name()
        }
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "crate::records::entity::Entity",
            from = "Column::RecordId",
            to = "crate::records::entity::Column::Id"
        )]
        Record,
        #[sea_orm(belongs_to = "super::file::Entity", from = "Column::Hash", to = "super::file::Column::Hash")]
        File,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
