//! What is served: the features, and what stands before them.

mod document;
mod frame;
mod front;
mod proof;

use std::sync::Arc;

use hyper::body::Bytes;
use poem::{
    Body, EndpointExt, IntoResponse, Response, Route, RouteMethod, endpoint::make_sync, get, http::StatusCode,
    middleware::CatchPanic,
};
use poem_openapi::{LicenseObject, OpenApi, OpenApiService};
#[cfg(feature = "developer")]
use sea_orm::sea_query::{IndexCreateStatement, TableCreateStatement};

use self::{
    document::{Documented, finished},
    frame::Frames,
    front::Front,
};
use crate::{
    audit::backup_audit::HeardBackups,
    auth::{
        access::Access,
        authority::AuthorizedDatabase,
        gate::Gate,
        role::{Role, Scope},
    },
    db::{Database, check_columns},
    failure::Failure,
    feature::{Entry, Feature, Page, Rule},
    html,
    http::{API, App, BodyLimit, Budget, DOCS, Docs, Entrance, Explain, Hosts, Problem, with_cookie_names},
    instance::{Health, News, endpoint},
    records::{self, Attachments, ContentStore, Exports},
    sign_in::SignIn,
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
    attachments: &Attachments,
    budget: &Budget,
) -> Result<App, Failure> {
    let accounts = sign_in.accounts();
    let api = service();
    let spec = Bytes::from(with_cookie_names(&finished(&api.spec()), &accounts.cookies));
    let document = serde_json::from_slice(&spec).unwrap_or_default();
    let pages = pages();
    let access = access(&document, &pages)?;
    let front = Front::at(
        Gate { accounts: accounts.clone(), access: Arc::new(access), hosts: hosts.clone(), entrance },
        Frames { navigation: navigation(), news: news.clone() },
        budget,
    );
    let app = html::assets(routes(&pages))
        .at("/health", get(endpoint::answer_health).data(health.clone()))
        .at(
            format!("{API}/openapi.json"),
            get(make_sync(move |_| {
                Response::builder().content_type("application/json").body(Body::from_bytes(spec.clone()))
            })),
        )
        .nest(API, api)
        .data(AuthorizedDatabase::new(accounts.database.clone()))
        .data(accounts.clone())
        .data(sign_in.clone())
        .data(health.clone())
        .data(news.clone())
        .data(attachments.clone())
        .data(Exports::default())
        .with(Explain::new(&document))
        .with(BodyLimit(budget.clone()))
        .with(CatchPanic::new().with_handler(panicked))
        .with(front)
        .boxed();
    Ok(app)
}

/// Returns what is answered on the private socket: the supervisor asks for health, and what people see. In probation, when nothing
/// is written, backups are not written down either.
pub(crate) fn private(
    database: &Arc<Database>,
    files: &ContentStore,
    health: &Health,
    news: &News,
    backups: Option<Arc<HeardBackups>>,
) -> App {
    Route::new()
        .at("/proof", get(proof::prove).data(database.clone()).data(files.clone()))
        .at("/health", get(endpoint::answer_supervisor).data(health.clone()).data(news.clone()).data(backups))
        .with(CatchPanic::new().with_handler(panicked))
        .with(Front::default())
        .boxed()
}

/// Returns the entries of the navigation; the viewer's own, with their name, is the last.
fn navigation() -> Vec<Entry> {
    let mut entries: Vec<_> = FEATURES.iter().filter_map(|feature| feature.navigation).collect();
    entries.sort_by_key(|entry| entry.is_named);
    entries
}

/// Returns the API's OpenAPI document.
pub(crate) fn spec() -> String {
    finished(&service().spec())
}

/// Makes the list of features from their folders: each says in its constant `FEATURE` what there is to know.
macro_rules! features {
    ($(crate::$feature:ident,)*) => {
        const FEATURES: &[Feature] = &[$(crate::$feature::FEATURE.without_api()),*];

        /// Returns the operations of all features.
        fn operations() -> impl OpenApi {
            ($(crate::$feature::FEATURE.api,)*)
        }
    };
}

// In the order of the API's document and of the navigation.
features! {
    crate::records,
    crate::household,
    crate::audit,
    crate::account,
    crate::sign_in,
    crate::instance,
}

/// Returns every page with its rule: those of the features, and the API's documentation.
fn pages() -> Vec<Page> {
    let docs = Page::get(DOCS, Rule::role(Role::Guest, Scope::Read), || {
        let (documented, docs) = (service(), Docs::default());
        make_sync(move |_| docs.answer(|| finished(&documented.swagger_ui_html()))).boxed()
    });
    FEATURES.iter().flat_map(|feature| feature.pages).copied().chain([docs]).collect()
}

/// Returns the routes of these pages.
fn routes(pages: &[Page]) -> Route {
    let mut paths: Vec<_> = pages.iter().map(|page| page.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.into_iter().fold(Route::new(), |routes, path| {
        let own = pages.iter().filter(|page| page.path == path);
        routes.at(path, own.fold(RouteMethod::new(), |methods, page| methods.method(page.method(), (page.endpoint)())))
    })
}

/// Returns the rules of everything that is served to the household.
fn access(document: &serde_json::Value, pages: &[Page]) -> Result<Access, Failure> {
    let operations: Vec<_> = FEATURES.iter().flat_map(|feature| feature.operations).copied().collect();
    Access::new(document, API, &operations, pages)
        .map_err(|wrong| Failure::new(format!("this release does not say who may do what: {wrong}")))
}

/// Checks that the tables of all features are there and have the columns that this version knows.
pub(crate) async fn check_schema(database: &Database) -> Result<(), Failure> {
    for table in FEATURES.iter().flat_map(|feature| feature.tables) {
        let (name, columns) = table.columns();
        check_columns(database, &name, columns.into_iter()).await?;
    }
    Ok(())
}

/// Returns what each entity says of its table, as statements that would make it. They are read and never run: the migrations
/// make the tables.
#[cfg(feature = "developer")]
pub fn entities() -> impl Iterator<Item = (TableCreateStatement, Vec<IndexCreateStatement>)> {
    FEATURES.iter().flat_map(|feature| feature.tables).map(|table| (table.statements)())
}

/// Reads through each query of the app, and looks for each file: may this version serve this database?
pub(crate) async fn self_test(database: &Database, health: &Health, files: &ContentStore) -> Result<(), Failure> {
    let mut outcome = health.self_test().await;
    for feature in FEATURES {
        if outcome.is_ok() {
            outcome = (feature.self_test)(database).await;
        }
    }
    outcome.map_err(|message| {
        let failure = Failure::new(message)
            .hint("nothing was changed; report this with the versions before and after the upgrade");
        if database.is_hindered() { failure } else { failure.of_the_data() }
    })?;
    records::prove(database, files).await
}

fn service() -> OpenApiService<impl OpenApi, ()> {
    OpenApiService::new(Documented(operations()), "Hearth", env!("CARGO_PKG_VERSION"))
        .summary("A household's binder")
        .description(
            "Every error is an `application/problem+json` document (RFC 9457) with a `code` for programs; new codes may be \
             added. Of a request that is refused for its fields or parameters, `errors` names each. An answer to a write means that \
             the write is on the disk. A request takes no fields but those that are described: others are refused with 400, and \
             `errors` names them. New fields, and new values of a field \
             that has a list of them, may be added to answers at any time; ignore those you do not know.",
        )
        .license(LicenseObject::new("MIT OR Apache-2.0").url("https://spdx.org/licenses/MIT.html"))
        .server(API)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has logged what it was.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
        .detail("An internal error occurred. See Hearth's log for details.")
        .into_response()
}

#[cfg(test)]
mod tests {
    use poem::http::Method;

    use super::*;
    use crate::db;

    #[tokio::test]
    async fn each_feature_can_read_what_the_migrator_makes() {
        let (_directory, path) = db::for_tests::migrated("").await;
        let database = Database::open(&path, db::Access::Read).await.unwrap();
        check_schema(&database).await.unwrap();
        for feature in FEATURES {
            (feature.self_test)(&database).await.unwrap();
        }
        database.close().await;
    }

    /// An entity that no feature names would be compared with nothing.
    #[test]
    fn each_entity_of_the_source_is_a_table_of_a_feature() {
        let known: Vec<_> = FEATURES.iter().flat_map(|feature| feature.tables).map(|table| table.columns().0).collect();
        let mut folders = vec![std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut found = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs")
                    && !path.ends_with("tests.rs")
                    && !path.ends_with("app.rs")
                {
                    let source = std::fs::read_to_string(&path).unwrap();
                    // A macro that makes entities takes the table's name as its first text.
                    for (before, after) in [("#[sea_orm(table_name = \"", ""), ("\nof_a_user! {", "\"")] {
                        for rest in source.split(before).skip(1) {
                            let rest = rest.split_once(after).unwrap().1;
                            let table = rest.split('"').next().unwrap();
                            assert!(known.iter().any(|known| known == table), "{}: {table}", path.display());
                            found += 1;
                        }
                    }
                    let derived = source.matches("DeriveEntityModel)]").count();
                    let named = source.matches("#[sea_orm(table_name = ").count();
                    assert_eq!(derived, named, "{}: each names its table", path.display());
                }
            }
        }
        assert_eq!(found, known.len());
    }

    #[test]
    fn each_entity_is_a_true_view_of_what_the_migrations_make() {
        use migrator::developer::{
            entity::{Entity, differences},
            tables::Tables,
        };
        let entities: Vec<_> =
            entities().map(|(table, indexes)| Entity::of_statements(&table, &indexes).unwrap()).collect();
        let tables = Tables::of_release(&migrator::Release::current()).unwrap();
        let found: Vec<_> = differences(&entities, &tables).iter().map(ToString::to_string).collect();
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn each_operation_and_each_page_has_one_rule() {
        let pages = pages();
        let access = access(&serde_json::from_str(&spec()).unwrap(), &pages).unwrap();
        // poem panics where two routes are the same.
        let _ = routes(&pages);
        for entry in navigation() {
            assert!(access.terms(&Method::GET, entry.address).is_some(), "{} leads nowhere", entry.label);
        }
    }
}
