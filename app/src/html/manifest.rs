//! How does a phone put Hearth among its apps?
//!
//! By the manifest that each page names, and its icons. Both are for anybody: browsers ask for them without a cookie. The icons are
//! pictures of `hearth.svg`; the maskable one and Apple's have no corners of their own.

use poem::{Response, Route, endpoint::make_sync, get, http::header};

use super::asset_address;

const ICONS: [(&str, &[u8]); 4] = [
    ("icon-192.png", include_bytes!("icons/icon-192.png")),
    ("icon-512.png", include_bytes!("icons/icon-512.png")),
    ("maskable-512.png", include_bytes!("icons/maskable-512.png")),
    ("touch-180.png", include_bytes!("icons/touch-180.png")),
];

/// The address of the manifest.
pub(super) const MANIFEST: &str = "/manifest.webmanifest";

/// Adds the manifest and its icons to the routes.
pub(super) fn routes(route: Route) -> Route {
    let route = ICONS.iter().fold(route, |route, (name, picture)| {
        let answer = move |_| super::asset("image/png", *picture);
        route.at(format!("/assets/{name}"), get(make_sync(answer)))
    });
    let manifest = manifest();
    let answer = move |_| {
        Response::builder()
            .content_type("application/manifest+json")
            // Its address stays the same with the next release.
            .header(header::CACHE_CONTROL, "max-age=3600")
            .body(manifest.clone())
    };
    route.at(MANIFEST, get(make_sync(answer)))
}

fn manifest() -> String {
    let icon = |name: &str, size: &str, purpose: &str| {
        let address = asset_address(name);
        serde_json::json!({ "src": address, "sizes": size, "type": "image/png", "purpose": purpose })
    };
    serde_json::json!({
        "id": "/",
        "name": "Hearth",
        "short_name": "Hearth",
        "description": "The household's binder",
        "lang": "en",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": "#faf7f3",
        "theme_color": "#b4481e",
        "icons": [
            icon("icon-192.png", "192x192", "any"),
            icon("icon-512.png", "512x512", "any"),
            icon("maskable-512.png", "512x512", "maskable"),
        ],
    })
    .to_string()
}
