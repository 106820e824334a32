//! What is served: the features, and what stands before them.

mod frame;
mod front;

use std::sync::Arc;

use hyper::body::Bytes;
use poem::{
    Body, EndpointExt, IntoResponse, Response, Route, endpoint::make_sync, get, http::StatusCode,
    middleware::CatchPanic,
};
use poem_openapi::{LicenseObject, OpenApiService};

use self::{frame::Frames, front::Front};
use crate::{
    account::{linked::api::LinksApi, profile::api::ProfileApi, tokens::api::TokensApi},
    audit::heard_backups::HeardBackups,
    auth::{access::Access, acting::AuthorizedDatabase, gate::Gate},
    failure::Failure,
    household::people::api::PeopleApi,
    html::{self, Entry},
    http::{API, App, BodyLimit, Budget, DOCS, Docs, Entrance, Explain, Hosts, Problem, with_cookie_names},
    instance::{Health, InstanceApi, News, endpoint},
    records::{self, RecordsApi},
    sign_in::{SignIn, api::SessionApi, enter, oidc, passkey::api::PasskeysApi, totp::api::SecondFactorApi},
};

/// Returns what is answered to the household at an entrance.
///
/// # Errors
///
/// Names the operations of the API of which nobody has said who may: a fault of the release.
pub(crate) fn public(
    entrance: Entrance,
    hosts: &Arc<Hosts>,
    sign_in: &Arc<SignIn>,
    health: &Health,
    news: &News,
    budget: &Budget,
) -> Result<App, Failure> {
    let accounts = sign_in.accounts();
    let api = service();
    let spec = Bytes::from(with_cookie_names(&api.spec(), &accounts.cookies));
    let document = serde_json::from_slice(&spec).unwrap_or_default();
    let access = Access::new(&document, API).map_err(Failure::new)?;
    let front = Front::at(
        Gate { accounts: accounts.clone(), access: Arc::new(access), hosts: hosts.clone(), entrance },
        Frames { navigation: &NAVIGATION, news: news.clone() },
        budget,
    );
    let (documented, docs) = (service(), Docs::default());
    let pages = html::assets(oidc::page::routes(enter::add(records::pages(Route::new()))));
    let app = Route::new()
        .at("/health", get(endpoint::answer_health).data(health.clone()))
        .at(
            format!("{API}/openapi.json"),
            get(make_sync(move |_| {
                Response::builder().content_type("application/json").body(Body::from_bytes(spec.clone()))
            })),
        )
        .at(DOCS, get(make_sync(move |_| docs.answer(|| documented.swagger_ui_html()))))
        .nest(API, api)
        .nest_no_strip("/", pages)
        .data(AuthorizedDatabase::new(accounts.database.clone()))
        .data(accounts.clone())
        .data(sign_in.clone())
        .data(health.clone())
        .data(news.clone())
        .with(Explain::new(&document))
        .with(BodyLimit(budget.clone()))
        .with(CatchPanic::new().with_handler(panicked))
        .with(front)
        .boxed();
    Ok(app)
}

/// Returns what is answered on the private socket: the supervisor asks for nothing but health. In probation, when nothing
/// is written, backups are not written down either.
pub(crate) fn private(health: &Health, news: &News, backups: Option<Arc<HeardBackups>>) -> App {
    Route::new()
        .at("/health", get(endpoint::answer_supervisor).data(health.clone()).data(news.clone()).data(backups))
        .with(CatchPanic::new().with_handler(panicked))
        .with(Front::default())
        .boxed()
}

/// Returns the API's OpenAPI document.
pub(crate) fn spec() -> String {
    service().spec()
}

/// The navigation.
const NAVIGATION: [Entry; 4] = [
    Entry { address: "/", label: "Records", within: "/records", is_named: false },
    Entry { address: "/people", label: "People", within: "/people", is_named: false },
    Entry { address: "/audit", label: "Audit", within: "/audit", is_named: false },
    Entry { address: "/account", label: "Account", within: "/account", is_named: true },
];

/// All operations.
type Operations =
    (RecordsApi, InstanceApi, SessionApi, ProfileApi, SecondFactorApi, PasskeysApi, LinksApi, TokensApi, PeopleApi);

fn service() -> OpenApiService<Operations, ()> {
    let operations =
        (RecordsApi, InstanceApi, SessionApi, ProfileApi, SecondFactorApi, PasskeysApi, LinksApi, TokensApi, PeopleApi);
    OpenApiService::new(operations, "Hearth", env!("CARGO_PKG_VERSION"))
        .summary("A household's binder")
        .description(
            "Every error is an `application/problem+json` document (RFC 9457) with a `code` for programs; new codes may be \
             added. Of a request that is refused for its fields or parameters, `errors` names each. An answer to a write means that \
             the write is on the disk. New fields, and new values of a field \
             that has a list of them, may be added to answers at any time; ignore those you do not know.",
        )
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .server(API)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has logged what it was.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .detail("Something went wrong in Hearth itself; its log says what.")
        .into_response()
}
