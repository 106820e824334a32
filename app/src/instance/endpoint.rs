//! What does `GET /health` return, to anybody and to the supervisor?

use std::sync::Arc;

use poem::{
    IntoResponse, Request, Response, handler,
    http::{HeaderValue, StatusCode, header},
    web::Data,
};

use super::{BackupReport, Backups, Health, News, Report, Status, notice};
use crate::{audit::backup_audit::HeardBackups, datetime::TimeZone, html::Newer};

/// The header of the supervisor's question that says how the backups are: `ok`, `overdue` or `failing`.
const BACKUPS: &str = "hearth-backups";
/// The header of that question that names the newest backup.
const BACKUPS_LAST: &str = "hearth-backups-last";
/// The header of that question that says all that is known of the backups, as JSON.
const BACKUPS_DETAIL: &str = "hearth-backups-detail";
/// The header of that question that says which time clocks show.
const TIME_ZONE: &str = "hearth-time-zone";
/// The headers of that question that name a newer version, and the address of its notes.
const UPDATE: &str = "hearth-update";
const UPDATE_NOTES: &str = "hearth-update-notes";
/// The header of that question that says, as JSON, that an upgrade failed and this version serves for that.
const NOTICE: &str = "hearth-notice";

#[handler]
pub(crate) async fn answer_health(Data(health): Data<&Health>, Data(news): Data<&News>) -> Response {
    answer(health.public_report(news.notice().is_some()).await)
}

/// The supervisor says with its question how the backups are, and which newer version there is; on the public socket nobody
/// is believed to know.
#[handler]
pub(crate) async fn answer_supervisor(
    request: &Request,
    Data(health): Data<&Health>,
    Data(news): Data<&News>,
    Data(backups): Data<&Option<Arc<HeardBackups>>>,
) -> Response {
    let said = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    if let (Some(backups), Some(id)) = (backups, request.header(BACKUPS_LAST)) {
        backups.remember(id);
    }
    health.remember(said(BACKUPS).map(Backups::read));
    TimeZone::remember(said(TIME_ZONE).and_then(TimeZone::read));
    let newer = said(UPDATE).and_then(|version| Newer::read(version, said(UPDATE_NOTES)));
    let notice = said(NOTICE).and_then(notice::read);
    news.remember(newer, said(BACKUPS_DETAIL).and_then(BackupReport::read), notice);
    answer(health.report().await)
}

fn answer(report: Report) -> Response {
    let status = match report.status {
        Status::Failing => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    poem::web::Json(report).with_status(status).with_header(header::CACHE_CONTROL, "no-store").into_response()
}
