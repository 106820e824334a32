//! Does a request that changes something come from one of our own pages?
//!
//! Any page in a member's browser can post to Hearth, and the browser sends the session with it. Browsers say where a request
//! comes from; programs such as curl do not, and pass.

use poem::{
    Request,
    http::{Method, StatusCode, header},
};

use super::problem::Problem;

/// Refuses a changing request that a browser sends for another site.
pub(super) fn check(request: &Request) -> Result<(), Problem> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let own = same_site(request.header("sec-fetch-site"), request.header(header::ORIGIN), request.header(header::HOST));
    if own {
        Ok(())
    } else {
        Err(Problem::new(StatusCode::FORBIDDEN)
            .detail("This request comes from the page of another site; nothing was changed."))
    }
}

/// Returns whether a browser says where a request comes from; [`check`] has seen to it that it is from here.
pub(crate) fn shows_its_origin(request: &Request) -> bool {
    request.headers().contains_key("sec-fetch-site") || request.headers().contains_key(header::ORIGIN)
}

/// `Sec-Fetch-Site` decides where there is one; browsers leave it out on plain HTTP to other than localhost, and
/// send `Origin` there too.
fn same_site(fetch_site: Option<&str>, origin: Option<&str>, host: Option<&str>) -> bool {
    match (fetch_site, origin) {
        (Some(site), _) => matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            match (authority, host) {
                (Some(authority), Some(host)) => {
                    without_default_port(authority).eq_ignore_ascii_case(without_default_port(host))
                }
                // `null`: a sandboxed frame or a file.
                _ => false,
            }
        }
        (None, None) => true,
    }
}

/// The scheme is no help: behind `tailscale serve` the browser speaks https and Hearth http.
fn without_default_port(authority: &str) -> &str {
    authority.strip_suffix(":80").or_else(|| authority.strip_suffix(":443")).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::same_site;

    #[test]
    fn pages_of_other_sites_are_refused_and_programs_pass() {
        let host = Some("nas.tail1.ts.net:3000");
        for (fetch_site, origin, own) in [
            (None, None, true),
            (Some("same-origin"), Some("http://nas.tail1.ts.net:3000"), true),
            (Some("none"), None, true),
            (Some("cross-site"), Some("https://evil.example"), false),
            (Some("same-site"), Some("http://other.tail1.ts.net"), false),
            (None, Some("http://nas.tail1.ts.net:3000"), true),
            (None, Some("http://NAS.tail1.ts.net:3000"), true),
            (None, Some("http://nas.tail1.ts.net"), false),
            (None, Some("http://evil.example"), false),
            (None, Some("null"), false),
        ] {
            assert_eq!(same_site(fetch_site, origin, host), own, "{fetch_site:?} {origin:?}");
        }
        assert!(same_site(None, Some("https://nas.ts.net"), Some("nas.ts.net:443")));
        assert!(!same_site(None, Some("http://nas.ts.net"), None));
    }
}
