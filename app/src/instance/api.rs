//! The instance in the API: what runs here?

use poem::web::Data;
use poem_openapi::{Object, OpenApi, Tags};

use super::update::News;
use crate::{
    auth::caller::Caller,
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
    /// Returns the running version and, if known, a newer one.
    #[oai(path = "/instance", method = "get", operation_id = "show_instance", tag = "Tag::Instance")]
    async fn show(&self, Data(news): Data<&News>, _caller: Caller) -> Result<Found<InstanceBody>, ReadRefused> {
        let update = news.newer().map(|newer| UpdateBody { version: newer.version, notes: newer.notes });
        Ok(Found::new(InstanceBody { version: env!("CARGO_PKG_VERSION").to_owned(), update }))
    }
}
