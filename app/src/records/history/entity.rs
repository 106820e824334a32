//! What do the tables `record_version`, `version_file` and `trash` hold? Triggers write the versions, whichever program
//! changes a record.

/// A record as it was before a change or a deletion.
pub mod record_version {
    use sea_orm::entity::prelude::*;

    use crate::datetime::Timestamp;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "record_version")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(unique_key = "record_version_record")]
        pub record_id: i64,
        #[sea_orm(unique_key = "record_version_record")]
        pub version: i64,
        /// The whole record, as JSON.
        #[sea_orm(column_type = "Text")]
        pub content: String,
        /// When this version was made.
        #[sea_orm(column_type = "Text")]
        pub changed_at: Timestamp,
        /// Who made this version, if that is known.
        pub changed_by: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// That a version has a file.
pub mod version_file {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "version_file")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub version_id: i64,
        #[sea_orm(primary_key, auto_increment = false, column_type = "Text", indexed)]
        pub hash: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::record_version::Entity",
            from = "Column::VersionId",
            to = "super::record_version::Column::Id"
        )]
        Version,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A deleted record, which can be put back.
pub mod trash {
    use sea_orm::entity::prelude::*;

    use crate::datetime::{Day, Timestamp};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "trash")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub record_id: i64,
        /// The record as it was.
        pub version_id: i64,
        /// Who saw it: 0 is the household, any other number the user whose record it was.
        pub scope: i64,
        /// When it was deleted; absent for what an older program deleted, until the next start.
        #[sea_orm(column_type = "Text", nullable)]
        pub deleted_at: Option<Timestamp>,
        pub deleted_by: Option<i64>,
        /// On how many days after the first the app has looked at it (`emptying`).
        #[sea_orm(default_value = 0)]
        pub days: i64,
        /// The last of them.
        #[sea_orm(column_type = "Text", nullable)]
        pub counted_on: Option<Day>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::record_version::Entity",
            from = "Column::VersionId",
            to = "super::record_version::Column::Id"
        )]
        Version,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
