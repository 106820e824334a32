//! How do requests come in, and what is the same for all answers?
//!
//! `sockets` finds the listening sockets, `acceptor` takes connections from them, `connections` speaks HTTP on them;
//! `front` stands before every route and sees to it that each error is problem+json, each request is for this host
//! (`host`) and, from a browser, from this site (`origin`), and each answer has its security headers; `limits` keeps
//! requests to their size and time.

mod acceptor;
mod connections;
mod cookies;
mod front;
mod given;
mod host;
mod limits;
mod origin;
mod problem;
mod sockets;
mod text;

use std::sync::Arc;

use poem::{
    EndpointExt, IntoResponse, Request, Response, Route,
    endpoint::{BoxEndpoint, make_sync},
    get, handler,
    http::{HeaderValue, StatusCode, header},
    middleware::CatchPanic,
    web::Data,
};
use poem_openapi::{LicenseObject, OpenApiService};

pub(crate) use self::{
    acceptor::TcpAcceptor,
    connections::{Server, Stop},
    cookies::{CookieNames, Purpose},
    given::Given,
    host::{Hosts, is_https, is_meant_for},
    origin::{bearer_tokens, check_origin, shows_its_origin, shows_token},
    problem::{FieldError, Problem, ReadRefused, WriteRefused},
    sockets::{Public, ServeSocket, Sockets},
    text::Text,
};
use self::{front::Front, limits::BodyLimit};
use crate::{
    account::{linked::api::LinksApi, profile::api::ProfileApi, tokens::api::TokensApi},
    audit::heard_backups::HeardBackups,
    auth::{Accounts, access::Access, api::Handle, gate::Gate},
    failure::Failure,
    household::people::api::PeopleApi,
    html,
    instance::{Backups, Health, InstanceApi, Newer, News, Report},
    records::{self, RecordsApi},
    sign_in::{api::SessionApi, enter, oidc, passkey::api::PasskeysApi, totp::api::SecondFactorApi},
};

/// An endpoint with everything that stands before it.
pub(crate) type App = BoxEndpoint<'static, Response>;

/// Where the API lives; the version changes only when an old client would break.
const API: &str = "/api/v1";

/// The header of the supervisor's question that says how the backups are: `ok`, `overdue` or `failing`.
const BACKUPS: &str = "hearth-backups";
/// The header of that question that names the newest backup.
const BACKUPS_LAST: &str = "hearth-backups-last";
/// The headers of that question that name a newer version, and the address of its notes.
const UPDATE: &str = "hearth-update";
const UPDATE_NOTES: &str = "hearth-update-notes";

/// Larger JSON and forms are refused; notes of 100,000 characters with every one escaped fit.
const BODY_MAX: usize = 1 << 20;

/// By which socket somebody came in; each request carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The one that the household reaches.
    Public,
    /// The one that nothing but `tailscale serve` reaches, which says who they are.
    TailscaleServe,
}

/// Returns what is answered to the household at an entrance.
///
/// # Errors
///
/// Names the operations of the API of which nobody has said who may: a fault of the release.
pub(crate) fn public(
    entrance: Entrance,
    hosts: &Arc<Hosts>,
    accounts: &Arc<Accounts>,
    health: &Health,
    news: &News,
) -> Result<App, Failure> {
    let database = &accounts.database;
    let api = service(Some(accounts), news);
    let spec: Arc<str> = cookies::named(&api.spec(), &accounts.cookies).into();
    let access = Access::new(&serde_json::from_str(&spec).unwrap_or_default(), API).map_err(Failure::new)?;
    let front =
        Front::at(Gate { accounts: accounts.clone(), access: Arc::new(access), hosts: hosts.clone(), entrance });
    // The page with the documentation is 1.6 MB of text: made when somebody asks, not kept.
    let documented = Arc::new(service(None, news));
    let pages = html::assets(oidc::page::routes(enter::add(records::pages(Route::new()))));
    let pages = pages.data(database.clone()).data(accounts.clone()).data(health.clone()).data(news.clone());
    let app = Route::new()
        .at("/health", get(answer_health).data(health.clone()))
        .at(
            format!("{API}/openapi.json"),
            get(make_sync(move |_| spec.to_string().with_content_type("application/json").into_response())),
        )
        .at(
            format!("{API}/docs"),
            get(make_sync(move |_| {
                documented
                    .swagger_ui_html()
                    .with_content_type("text/html; charset=utf-8")
                    .with_header(header::CONTENT_SECURITY_POLICY, front::DOCS_POLICY)
                    .into_response()
            })),
        )
        .nest(API, api)
        .nest_no_strip("/", pages)
        .with(BodyLimit { bytes: BODY_MAX })
        .with(CatchPanic::new().with_handler(panicked))
        .with(front)
        .boxed();
    Ok(app)
}

/// Returns what is answered on the private socket: the supervisor asks for nothing but health. In probation, when nothing
/// is written, backups are not written down either.
pub(crate) fn private(health: &Health, news: &News, backups: Option<Arc<HeardBackups>>) -> App {
    Route::new()
        .at("/health", get(answer_supervisor).data(health.clone()).data(news.clone()).data(backups))
        .with(CatchPanic::new().with_handler(panicked))
        .with(Front::default())
        .boxed()
}

/// Returns the API's OpenAPI document.
pub(crate) fn spec() -> String {
    service(None, &News::default()).spec()
}

/// All operations.
type Operations =
    (RecordsApi, InstanceApi, SessionApi, ProfileApi, SecondFactorApi, PasskeysApi, LinksApi, TokensApi, PeopleApi);

fn service(accounts: Option<&Arc<Accounts>>, news: &News) -> OpenApiService<Operations, ()> {
    let own = || Handle(accounts.cloned());
    let operations = (
        RecordsApi::new(accounts.map(|accounts| accounts.database.clone())),
        InstanceApi::new(news.clone()),
        SessionApi(own()),
        ProfileApi(own()),
        SecondFactorApi(own()),
        PasskeysApi(own()),
        LinksApi(own()),
        TokensApi(own()),
        PeopleApi(own()),
    );
    OpenApiService::new(operations, "Hearth", env!("CARGO_PKG_VERSION"))
        .summary("A household's binder")
        .description(
            "Every error is an `application/problem+json` document (RFC 9457). An answer to a write means that \
             the write is on the disk. New fields, and new values of a field \
             that has a list of them, may be added to answers at any time; ignore those you do not know.",
        )
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .server(API)
}

#[handler]
async fn answer_health(Data(health): Data<&Health>) -> Response {
    answer(health.public_report().await)
}

/// The supervisor says with its question how the backups are, and which newer version there is; on the public socket nobody
/// is believed to know.
#[handler]
async fn answer_supervisor(
    request: &Request,
    Data(health): Data<&Health>,
    Data(news): Data<&News>,
    Data(backups): Data<&Option<Arc<HeardBackups>>>,
) -> Response {
    let said = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    if let (Some(backups), Some(id)) = (backups, request.header(BACKUPS_LAST)) {
        backups.heard(id);
    }
    health.heard(said(BACKUPS).map(Backups::read));
    news.heard(said(UPDATE).and_then(|version| Newer::read(version, said(UPDATE_NOTES))));
    answer(health.report().await)
}

fn answer(report: Report) -> Response {
    let status = match report.status {
        crate::instance::Status::Failing => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    poem::web::Json(report).with_status(status).with_header(header::CACHE_CONTROL, "no-store").into_response()
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has logged what it was.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .detail("Something went wrong in Hearth itself; its log says what.")
        .into_response()
}
