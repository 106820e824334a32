//! What does the table `record` hold? The migrator makes it; this is the app's view of it.

use poem_openapi::Enum;
use sea_orm::{ExprTrait, entity::prelude::*, sea_query::SimpleExpr};

use super::kind::Kind;
use crate::{
    datetime::{Day, Timestamp},
    db::is_known,
    fault,
};

/// The scope of what everybody sees.
pub(crate) const HOUSEHOLD: i64 = 0;

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
    pub created_at: Timestamp,
    #[sea_orm(column_type = "Text")]
    pub updated_at: Timestamp,
    /// Who added it; nobody for those from before accounts.
    pub owner_id: Option<i64>,
    pub visibility: Visibility,
    /// Counts the changes, from 1 on.
    pub version: i64,
    /// Where its title stands in the order of titles; none for what an older program wrote, until the next start.
    #[sea_orm(column_type = "Blob", nullable)]
    pub title_key: Option<Vec<u8>>,
    #[sea_orm(default_value = "note")]
    pub kind: Kind,
    pub place_id: Option<i64>,
    /// Whether guests see its attachments, too.
    #[sea_orm(default_value = false)]
    pub guests_see_attachments: bool,
    /// Who made the version `changed_version`; an older program that makes a newer one writes neither.
    pub changed_by: Option<i64>,
    pub changed_version: Option<i64>,
}

impl Model {
    /// Returns a record that says nothing yet, which this user adds now.
    pub(crate) fn new(owner_id: Option<i64>) -> Self {
        let now = Timestamp::now();
        Self {
            id: 0,
            title: String::new(),
            category: String::new(),
            notes: String::new(),
            due_date: None,
            created_at: now,
            updated_at: now,
            owner_id,
            visibility: Visibility::default(),
            version: 1,
            title_key: None,
            kind: Kind::default(),
            place_id: None,
            guests_see_attachments: false,
            changed_by: owner_id,
            changed_version: Some(1),
        }
    }

    /// Returns in which scope it is: who sees it.
    pub(crate) fn scope(&self) -> i64 {
        match self.visibility {
            Visibility::Household => HOUSEHOLD,
            Visibility::Private => self.owner_id.unwrap_or(-1),
        }
    }

    /// Returns how many bytes its texts have, nearly all of what it takes on a page of the API.
    pub(crate) fn text_bytes(&self) -> usize {
        self.title.len() + self.category.len() + self.notes.len()
    }
}

/// That this version knows who may see a record. What only a newer version knows is shown to nobody.
pub(crate) fn has_known_visibility() -> SimpleExpr {
    let known = is_known::<Visibility>(Column::Visibility);
    match fault::is_planned("app.hides") {
        true => known.and(Expr::cust(r#""record"."id" > (SELECT min("id") FROM "record")"#)),
        false => known,
    }
}

/// Who can see a record: the whole `household`, or only the user who added it (`private`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, EnumIter, DeriveActiveEnum, Enum, serde::Serialize, serde::Deserialize,
)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    #[default]
    Household,
    Private,
}

impl Visibility {
    /// Returns the name in the API and the audit log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Household => "household",
            Self::Private => "private",
        }
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(
        belongs_to = "super::places::entity::Entity",
        from = "Column::PlaceId",
        to = "super::places::entity::Column::Id"
    )]
    Place,
}

impl ActiveModelBehavior for ActiveModel {}
