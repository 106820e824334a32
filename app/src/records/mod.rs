//! The binder's records: their table, queries, API and pages.

mod api;
mod attachments;
mod changes;
mod details;
mod draft;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
mod epoch;
mod fields;
mod finality;
mod fold;
mod history;
mod indexing;
mod kind;
mod listing;
mod page;
mod page_query;
mod places;
mod portability;
mod proof;
mod sample;
mod search;
mod self_test;
mod stale;
mod store;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
mod tag;
mod tags;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    attachments::{Attachments, ContentStore, check_files, prove},
    epoch::begin_epoch,
    history::emptying::run as empty_trash,
    portability::Exports,
    proof::{Views, finds, kept, tags as proof_tags, trash as proof_trash, viewer, words as proof_words},
    stale::fold_stale,
};

use poem::EndpointExt;

use crate::{
    auth::role::{Role, Scope},
    feature::{Entry, Feature, Operation, Page, Rule, Table},
};

type Api = (
    api::RecordsApi,
    attachments::api::AttachmentsApi,
    places::api::PlacesApi,
    tags::api::TagsApi,
    api::versions::VersionsApi,
    api::trash::TrashApi,
    portability::api::PortabilityApi,
);

/// Whoever is of the household sees records, members keep them.
const READ: Rule = Rule::role(Role::Guest, Scope::Read);
const WRITE: Rule = Rule::role(Role::Member, Scope::Write);
const IMPORT: Rule = Rule::role(Role::Admin, Scope::Admin);
const LOOK: Rule = Rule::page(Role::Guest);
const CHANGE: Rule = Rule::page(Role::Member);
/// What brings in many records at once is for those who look after the household.
const MANAGE: Rule = Rule::page(Role::Admin);

/// What records were is for members: what was taken out of one is not for guests.
const READ_HISTORY: Rule = Rule::role(Role::Member, Scope::Read);

/// What the rest has to know of records.
pub(crate) const FEATURE: Feature<Api> = Feature {
    api: (
        api::RecordsApi,
        attachments::api::AttachmentsApi,
        places::api::PlacesApi,
        tags::api::TagsApi,
        api::versions::VersionsApi,
        api::trash::TrashApi,
        portability::api::PortabilityApi,
    ),
    operations: &[
        Operation::new("list_records", READ),
        Operation::new("get_record", READ),
        Operation::new("list_record_changes", READ).may_give(&[410]),
        Operation::new("create_record", WRITE).with_large_body().may_give(&[410]),
        Operation::new("update_record", WRITE).with_large_body(),
        Operation::new("delete_record", WRITE),
        Operation::new("list_places", READ),
        Operation::new("create_place", WRITE).may_give(&[409, 410]),
        Operation::new("update_place", WRITE).may_give(&[409]),
        Operation::new("delete_place", WRITE).may_give(&[409]),
        Operation::new("list_tags", READ),
        Operation::new("rename_tag", WRITE),
        Operation::new("delete_tag", WRITE),
        Operation::new("list_attachments", READ),
        Operation::new("get_attachment", READ),
        Operation::new("get_attachment_content", READ).may_give(&[416]),
        Operation::new("get_attachment_preview", READ),
        Operation::new("set_attachment_preview", WRITE).with_streamed_body().may_give(&[409, 422]),
        Operation::new("create_attachment", WRITE).with_streamed_body().may_give(&[410]),
        Operation::new("update_attachment", WRITE),
        Operation::new("delete_attachment", WRITE),
        Operation::new("create_upload", WRITE).may_give(&[413]),
        Operation::new("get_upload", WRITE),
        Operation::new("append_upload", WRITE).with_streamed_body().may_give(&[410, 422]),
        Operation::new("delete_upload", WRITE),
        Operation::new("list_record_versions", READ_HISTORY),
        Operation::new("get_record_version", READ_HISTORY),
        Operation::new("restore_record_version", WRITE),
        Operation::new("list_trash", READ_HISTORY),
        Operation::new("restore_from_trash", WRITE),
        Operation::new("delete_from_trash", WRITE).may_give(&[409]),
        Operation::new("export_binder", Rule::role(Role::Member, Scope::Read)).may_give(&[409, 507]),
        Operation::new("import_binder", IMPORT).with_streamed_body(),
        Operation::new("import_homebox", IMPORT).with_streamed_body(),
    ],
    pages: &[
        Page::get("/", LOOK, || page::list::show.boxed()),
        Page::get("/records/new", CHANGE, || page::edit::new.boxed()),
        Page::post("/records", CHANGE, || page::edit::add.boxed()).with_large_body(),
        Page::post("/records/quick", CHANGE, || page::quick_add::add.boxed()).with_streamed_body(),
        Page::get("/records/:id", LOOK, || page::record::show.boxed()),
        Page::get("/records/:id/edit", CHANGE, || page::edit::show.boxed()),
        Page::post("/records/:id", CHANGE, || page::edit::change.boxed()).with_large_body(),
        Page::post("/records/:id/attachments", CHANGE, || page::attachments::add.boxed()).with_streamed_body(),
        Page::post("/records/:id/attachments/:attachment", CHANGE, || page::attachments::change.boxed()),
        Page::post("/records/:id/delete", CHANGE, || page::record::delete.boxed()),
        Page::get("/places", LOOK, || places::page::show.boxed()),
        Page::post("/places", CHANGE, || places::page::add.boxed()),
        Page::get("/places/:id", LOOK, || places::page::show_one.boxed()),
        Page::post("/places/:id", CHANGE, || places::page::change.boxed()),
        Page::post("/places/:id/delete", CHANGE, || places::page::delete.boxed()),
        Page::get("/tags", LOOK, || tags::page::show.boxed()),
        Page::post("/tags/rename", CHANGE, || tags::page::rename.boxed()),
        Page::post("/tags/remove", CHANGE, || tags::page::remove.boxed()),
        Page::get("/sample", CHANGE, || sample::page::show.boxed()),
        Page::post("/sample", CHANGE, || sample::page::load.boxed()),
        Page::post("/sample/remove", CHANGE, || sample::page::remove.boxed()),
        Page::get("/records/:id/history", CHANGE, || history::page::versions::show.boxed()),
        Page::get("/records/:id/history/:version", CHANGE, || history::page::versions::show_one.boxed()),
        Page::post("/records/:id/history/:version/restore", CHANGE, || history::page::versions::restore_one.boxed()),
        Page::get("/trash", CHANGE, || history::page::trash::show.boxed()),
        Page::post("/trash/:id/restore", CHANGE, || history::page::trash::put_back.boxed()),
        Page::post("/trash/:id/delete", CHANGE, || history::page::trash::erase.boxed()),
        Page::get("/export", CHANGE, || portability::page::show_export.boxed()),
        Page::get("/export/archive", CHANGE, || portability::page::download.boxed()),
        Page::get("/import", MANAGE, || portability::page::show_import.boxed()),
        Page::post("/import", MANAGE, || portability::page::import.boxed()).with_streamed_body(),
        Page::post("/import/columns", MANAGE, || portability::page::import_columns.boxed()),
    ],
    navigation: Some(Entry { address: "/", label: "Records", within: "/records", is_named: false }),
    tables: &[
        Table::of::<entity::Entity>(),
        Table::of::<places::entity::Entity>(),
        Table::of::<tag::Entity>(),
        Table::of::<fields::entity::Entity>(),
        Table::of::<attachments::entity::file::Entity>(),
        Table::of::<attachments::entity::attachment::Entity>(),
        Table::of::<history::entity::record_version::Entity>(),
        Table::of::<history::entity::version_file::Entity>(),
        Table::of::<history::entity::trash::Entity>(),
    ],
    self_test: |database| Box::pin(self_test::self_test(database)),
};
