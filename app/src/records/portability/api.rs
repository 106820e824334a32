//! Export and import in the API.

use poem::{Body, IntoResponse, Response, http::header, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi, Tags,
    param::Query,
    payload::{Binary, Payload},
    registry::{MetaMediaType, MetaResponse, MetaResponses, Registry},
};

use super::{
    export::{self, Exports},
    import::addition::Report,
    take_in::{self, Found as File},
};
use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::AuthorizedDatabase,
        caller::Caller,
    },
    datetime::Timestamp,
    http::{Disposition, Found, Header, IdempotencyKey, Pieces, Problem, WriteRefused, disposition},
    records::{attachments::Attachments, store::Viewer},
};

/// The operations of export and import.
pub(crate) struct PortabilityApi;

#[derive(Tags)]
enum Tag {
    /// The whole binder as a file.
    #[oai(rename = "Export and import")]
    Portability,
}

/// An archive as it is sent.
pub(super) struct Archive(Response);

impl Archive {
    /// Returns the archive of what a user sees.
    pub(super) async fn of(
        database: &AuthorizedDatabase,
        attachments: &Attachments,
        exports: &Exports,
        caller: &Caller,
    ) -> Result<Self, Problem> {
        let room = exports.room().await?;
        database
            .write(caller, async |tx, caller| {
                Ok(audit_log::write(tx, Kind::BinderExported, &Actor::caller(caller), "").await?)
            })
            .await?;
        let body = export::archive(database, Viewer::of(caller), &attachments.store, room);
        let name = format!("hearth-{}.zip", &Timestamp::now().to_string()[..10]);
        let response = Response::builder()
            .content_type(ZIP)
            .header(header::CONTENT_DISPOSITION, disposition(Disposition::Save, &name))
            .header(header::CACHE_CONTROL, "no-store");
        Ok(Self(response.body(body)))
    }
}

const ZIP: &str = "application/zip";

impl IntoResponse for Archive {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for Archive {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType { content_type: ZIP, schema: Binary::<Vec<u8>>::schema_ref() }];
        let description = "A zip archive.";
        let response =
            MetaResponse { description, status: Some(200), status_range: None, content, headers: Vec::new() };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}

/// What was not taken.
#[derive(Debug, Object)]
struct LeftOut {
    /// What it is, such as `Row 7`.
    what: String,
    /// Why it was not taken.
    why: String,
}

/// What an import did.
#[derive(Debug, Object)]
struct ImportReport {
    /// How many records were added.
    records: u64,
    /// How many attachments these have.
    attachments: u64,
    /// What was not taken.
    left_out: Vec<LeftOut>,
    /// Whether an earlier request with the same `Idempotency-Key` did it, so that nothing more was added.
    was_done: bool,
}

impl From<Report> for ImportReport {
    fn from(report: Report) -> Self {
        let left_out = report.left_out.into_iter().map(|left| LeftOut { what: left.what, why: left.why });
        Self {
            records: report.records as u64,
            attachments: report.attachments as u64,
            left_out: left_out.collect(),
            was_done: report.was_done,
        }
    }
}

#[OpenApi(tag = "Tag::Portability")]
impl PortabilityApi {
    /// Export the binder
    ///
    /// All records that the user sees, with their attachments, as a zip archive that is readable without Hearth.
    #[oai(path = "/export", method = "get", operation_id = "export_binder")]
    async fn export(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        Data(exports): Data<&Exports>,
        caller: Caller,
    ) -> Result<Archive, WriteRefused> {
        Ok(Archive::of(database, attachments, exports, &caller).await?)
    }

    /// Import an exported binder
    ///
    /// The body is the archive. Adds its records as the user's own, and changes none that is there already. All that can be taken is added at
    /// once; what cannot is listed.
    #[oai(path = "/imports/binder", method = "post", operation_id = "import_binder")]
    async fn import_binder(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// A text of the client's choice, such as a UUID, that is new for each import.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        body: Binary<Body>,
    ) -> Result<Found<ImportReport>, WriteRefused> {
        let Binary(body) = body;
        let report =
            import(database, attachments, &caller, body, None, key.0, |file| matches!(file, File::Binder(_))).await?;
        Ok(Found::new(report))
    }

    /// Import from Homebox
    ///
    /// The body is an export of Homebox: a table, or the archive of newer versions. Adds its items as records of the kind `thing`. All that can be taken is added at once; what cannot
    /// is listed.
    #[oai(path = "/imports/homebox", method = "post", operation_id = "import_homebox")]
    async fn import_homebox(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The currency of the prices by ISO 4217, such as `EUR`, which Homebox does not export. Without it prices become texts.
        #[oai(validator(pattern = "^[A-Z]{3}$"))]
        currency: Query<Option<String>>,
        /// A text of the client's choice, such as a UUID, that is new for each import.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        body: Binary<Body>,
    ) -> Result<Found<ImportReport>, WriteRefused> {
        let Binary(body) = body;
        let is_it = |file: &File| matches!(file, File::Homebox(_) | File::HomeboxTable(_));
        let report = import(database, attachments, &caller, body, currency.0, key.0, is_it).await?;
        Ok(Found::new(report))
    }
}

async fn import(
    database: &AuthorizedDatabase,
    attachments: &Attachments,
    caller: &Caller,
    body: Body,
    currency: Option<String>,
    key: IdempotencyKey,
    is_it: impl Fn(&File) -> bool,
) -> Result<ImportReport, Problem> {
    let spooled = attachments.spool(Pieces::of(body), u64::MAX).await?;
    let once = take_in::once(key, "import", &spooled, currency.as_deref());
    let _turn = take_in::turn().await;
    let file = take_in::look(&spooled).await?;
    if !is_it(&file) {
        return Err(take_in::refused("The file is of another program."));
    }
    match take_in::take_in(database, attachments, caller, file, currency, once).await? {
        Ok(report) => Ok(report.into()),
        Err(_) => Err(take_in::refused("The file is a table of another program.")),
    }
}
