//! The instance in the API: what runs here?

use poem::web::Data;
use poem_openapi::{Object, OpenApi, Tags};

use super::update::News;
use crate::{
    auth::{caller::Caller, role::Role},
    datetime::Timestamp,
    http::{Found, ReadRefused},
};

/// The operations on the instance.
pub(crate) struct InstanceApi;

#[derive(Tags)]
enum Tag {
    /// This installation of Hearth itself.
    Instance,
}

/// This installation of Hearth.
#[derive(Debug, Object)]
#[oai(rename = "Instance", skip_serializing_if_is_none)]
struct InstanceBody {
    /// The running version.
    version: String,
    /// The newest version. Absent if no newer version is known.
    update: Option<UpdateBody>,
    /// The failed upgrade because of which this version is serving. Absent if there is none.
    failed_upgrade: Option<FailedUpgradeBody>,
}

/// An upgrade that failed; the version that was running before is serving, and no data is lost.
#[derive(Debug, Object)]
#[oai(rename = "FailedUpgrade", skip_serializing_if_is_none)]
struct FailedUpgradeBody {
    /// What failed and why. Absent for guests and members.
    message: Option<String>,
    /// When it failed. Absent if unknown.
    since: Option<Timestamp>,
}

/// A newer version.
#[derive(Debug, Object)]
#[oai(rename = "Update", skip_serializing_if_is_none)]
struct UpdateBody {
    /// The version number.
    version: String,
    /// The address of the release notes. Absent if unknown.
    notes: Option<String>,
}

#[OpenApi]
impl InstanceApi {
    /// Show the instance
    ///
    /// Returns the running version, a newer one if known, and whether the last upgrade failed.
    #[oai(path = "/instance", method = "get", operation_id = "show_instance", tag = "Tag::Instance")]
    async fn show(&self, Data(news): Data<&News>, caller: Caller) -> Result<Found<InstanceBody>, ReadRefused> {
        let update = news.newer().map(|newer| UpdateBody { version: newer.version, notes: newer.notes });
        // As on the pages: the reason is for those who look after the instance.
        let looks_after = caller.role() >= Role::Admin;
        let failed_upgrade = news
            .notice()
            .map(|notice| FailedUpgradeBody { message: looks_after.then_some(notice.message), since: notice.since });
        Ok(Found::new(InstanceBody { version: env!("CARGO_PKG_VERSION").to_owned(), update, failed_upgrade }))
    }
}
