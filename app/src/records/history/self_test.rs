//! Can this version read what is kept of records?

use sea_orm::DbErr;

use super::{emptying, restore, trash, versions};
use crate::{datetime::Timestamp, db::DirectReads, records::store::Viewer};

/// Reads through each query of the versions and the trash, and decodes what was kept last.
pub(crate) async fn self_test(reads: &DirectReads, viewer: Viewer, record_id: i64) -> Result<(), DbErr> {
    versions::newest(reads, 100).await?;
    versions::list(reads, viewer, record_id, None, 10).await?;
    versions::find(reads, viewer, record_id, 0).await?;
    reads.one(versions::by_number(viewer, record_id, 1)).await?;
    versions::before(reads, viewer, record_id, 1).await?;
    let page = trash::list(reads, viewer, None, 10).await?;
    trash::list(reads, viewer, page.next.as_ref(), 10).await?;
    trash::find(reads, viewer, record_id).await?;
    // What a write reads.
    reads.one(trash::by_id(viewer, record_id)).await?;
    reads.one(trash::version(1)).await?;
    reads.rows(&trash::versions_but(record_id, 0), |_| Ok(())).await?;
    reads.one(trash::in_its_place(record_id)).await?;
    reads.one(restore::place_by_id(1)).await?;
    reads.one(restore::attachment_by_id(1)).await?;
    reads.one(restore::file_by_hash("")).await?;
    let now = Timestamp::now();
    reads.one(emptying::uncounted(now.day())).await?;
    reads.one(emptying::due(now, 0)).await?;
    reads.one(emptying::is_due(now, record_id)).await?;
    Ok(())
}
