//! What happened: the audit log as people read it.

pub(crate) mod api;
pub(crate) mod backup_audit;
pub(crate) mod page;

use poem::EndpointExt;
use sea_orm::{DatabaseConnection, DbErr};

use crate::{
    auth::{
        audit_log::{self, Kind},
        entity,
        role::{Role, Scope},
        self_test::unread,
    },
    db::Database,
    feature::{Entry, Feature, Operation, Page, Rule, Table},
};

/// What the rest has to know of the audit log.
pub(crate) const FEATURE: Feature<api::AuditApi> = Feature {
    api: api::AuditApi,
    operations: &[Operation::new("list_audit_events", ADMINS)],
    pages: &[Page::get("/audit", ADMINS, || page::show.boxed())],
    navigation: Some(Entry { address: "/audit", label: "Audit log", within: "/audit", is_named: false }),
    tables: &[Table::of::<entity::audit_event::Entity>()],
    self_test: |database| Box::pin(self_test(database)),
};

/// For those who look after people.
const ADMINS: Rule = Rule::role(Role::Admin, Scope::Admin);

async fn self_test(database: &Database) -> Result<(), String> {
    let read = async |reads: &DatabaseConnection| -> Result<(), DbErr> {
        audit_log::list(reads, None, 10).await?;
        audit_log::list(reads, Some(10), 10).await?;
        audit_log::newest(reads, Kind::BackupMade).await.map(drop)
    };
    read(database.reads()).await.map_err(|error| unread(database, "the audit log", error))
}
