//! Where does somebody go once they are signed in?
//!
//! Where they wanted to go, when that is a place of this site: otherwise a link to the sign-in page would send people
//! on to another site, as ourselves (OWASP Unvalidated Redirects and Forwards Cheat Sheet).

/// Returns the local path that was asked for, or the first page.
///
/// Browsers take `//host` and, as they read a backslash as a slash, `/\host` for another site's address, and leave out
/// tabs and line breaks before they look.
pub(crate) fn local(next: Option<&str>) -> &str {
    let is_local = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
    };
    next.filter(is_local).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_path_is_a_place_to_go_to() {
        for path in
            ["/", "/records/7", "/?search=a%20b&order=due", "/people#anna", "/a//b", "/records?next=https://x.example"]
        {
            assert_eq!(local(Some(path)), path);
        }
        for other in [
            "",
            "records",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/a\\b",
            "\\\\evil.example",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            " /records",
            "/\t/evil.example",
            "/\n/evil.example",
            "/a\r\nset-cookie: x=y",
            "/a b",
            "/\u{0}",
            "/straße",
            "/\u{2028}/evil.example",
        ] {
            assert_eq!(local(Some(other)), "/", "{other:?}");
        }
        assert_eq!(local(None), "/");
    }
}
