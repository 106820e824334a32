//! What do the header fields `WWW-Authenticate` and `Link` of a registry's answer say?
//!
//! Their grammar is that of RFC 9110 (11.6.1) and RFC 8288. They come from the network: what cannot be parsed is ignored.

/// Where a token is to be had, and for what: a challenge of the scheme Bearer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bearer {
    /// The address that gives tokens.
    pub realm: String,
    /// What the registry calls itself there.
    pub service: Option<String>,
    /// What is asked for.
    pub scope: Option<String>,
}

/// Returns the challenge of the scheme Bearer in a `WWW-Authenticate` field, among others or alone.
pub fn bearer(field: &str) -> Option<Bearer> {
    let mut rest = Rest(field);
    let mut found: Option<Bearer> = None;
    loop {
        rest.skip(|byte| matches!(byte, b' ' | b'\t' | b',' | b'='));
        let name = rest.token();
        if name.is_empty() {
            break;
        }
        rest.skip_blank();
        if !rest.eat('=') {
            // The next scheme begins.
            if found.is_some() {
                break;
            }
            found = name.eq_ignore_ascii_case("bearer").then(Bearer::default);
            continue;
        }
        rest.skip_blank();
        let value = rest.value();
        if let (Some(bearer), Some(value)) = (&mut found, value) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => bearer.realm = value,
                "service" => bearer.service = Some(value),
                "scope" => bearer.scope = Some(value),
                _ => {}
            }
        }
    }
    found.filter(|bearer| !bearer.realm.is_empty())
}

/// Returns where the next page is, as a `Link` field says: absolute, or relative to the page.
pub fn next(field: &str) -> Option<&str> {
    let mut rest = Rest(field);
    loop {
        rest.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
        if !rest.eat('<') {
            return None;
        }
        let (target, after) = rest.0.split_once('>')?;
        rest.0 = after;
        let mut relation = None;
        loop {
            rest.skip_blank();
            if !rest.eat(';') {
                break;
            }
            rest.skip_blank();
            let name = rest.token();
            rest.skip_blank();
            let value = if rest.eat('=') {
                rest.skip_blank();
                rest.value()
            } else {
                None
            };
            // Of several, the first counts.
            if name.eq_ignore_ascii_case("rel") && relation.is_none() {
                relation = value;
            }
        }
        let is_next =
            |relation: String| relation.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("next"));
        if relation.is_some_and(is_next) {
            return Some(target.trim());
        }
    }
}

/// What is still to be read of a field.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        self.0 = self.0.trim_start_matches(|letter: char| letter.is_ascii() && what(letter as u8));
    }

    fn skip_blank(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    fn eat(&mut self, letter: char) -> bool {
        let rest = self.0.strip_prefix(letter);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Reads a token; empty if there is none.
    fn token(&mut self) -> &'a str {
        let is_of_one = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter);
        let end = self.0.find(|letter| !is_of_one(letter)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        token
    }

    /// Reads a token or a quoted string.
    fn value(&mut self) -> Option<String> {
        if !self.eat('"') {
            return Some(self.token()).filter(|token| !token.is_empty()).map(str::to_owned);
        }
        let mut value = String::new();
        let mut letters = self.0.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
                letter => value.push(letter),
            }
        }
        // It never ends.
        self.0 = "";
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_challenge_says_where_a_token_is_to_be_had() {
        let github = Bearer {
            realm: "https://ghcr.io/token".into(),
            service: Some("ghcr.io".into()),
            scope: Some("repository:owner/name:pull".into()),
        };
        for field in [
            r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:owner/name:pull""#,
            r#"bearer  Realm = "https://ghcr.io/token" , SERVICE=ghcr.io, scope="repository:owner/name:pull", error="x""#,
            r#"Basic realm="house", Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:owner/name:pull""#,
            r#"Negotiate YWJj==, Bearer scope="repository:owner/name:pull",realm="https://ghcr.io/token",service="ghcr.io", Basic realm="other""#,
            r#"Bearer realm="https:\/\/ghcr.io/token",service="ghcr.io",scope="repository:owner/name:pull","#,
        ] {
            assert_eq!(bearer(field).as_ref(), Some(&github), "{field}");
        }
        for none in
            ["", "Basic realm=\"house\"", "Bearer", "Bearer realm=", "Bearer realm=\"https://x", "Digest a=b", "é"]
        {
            assert_eq!(bearer(none), None, "{none}");
        }
    }

    #[test]
    fn the_link_to_the_next_page_is_found() {
        for (field, there) in [
            (r#"</v2/a/tags/list?last=v1&n=2>; rel="next""#, Some("/v2/a/tags/list?last=v1&n=2")),
            ("<https://x/v2?a=1,2;3>;rel=next", Some("https://x/v2?a=1,2;3")),
            (r#"<a>; rel="prev", <b>; title="x, <c>; rel=next"; rel="last NEXT""#, Some("b")),
            ("<a>; rel=prev; rel=next", None),
            ("<a>; title=next", None),
            ("<a>; rel=nextish", None),
            ("<a", None),
            ("a; rel=next", None),
            ("", None),
        ] {
            assert_eq!(next(field), there, "{field}");
        }
    }

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn a_quoted_value_is_read_back(realm in "\\PC{1,30}", scope in "\\PC{0,30}", before in "(Basic realm=x, )?") {
            let field = format!("{before}Bearer realm={},scope={}", quoted(&realm), quoted(&scope));
            let read = bearer(&field);
            prop_assert_eq!(read, Some(Bearer { realm, service: None, scope: Some(scope) }));
        }

        #[test]
        fn the_next_page_is_found_among_other_links(target in "[a-z0-9:/?=&;,.%-]{0,30}", title in "\\PC{0,20}", gap in "[ \t]{0,2}") {
            let field = format!("<x>;rel=prev;title={},{gap}<{target}>{gap};{gap}title={};{gap}rel=\"next\"", quoted(&title), quoted(&title));
            prop_assert_eq!(next(&field), Some(target.as_str()));
        }

        #[test]
        fn no_field_is_too_much(field in any::<String>(), like in r#"[<>;,="\\ a-cBbearnxtl]{0,60}"#) {
            for field in [field.as_str(), like.as_str()] {
                let _ = (bearer(field), next(field));
                let _ = bearer(&format!("Bearer {field}"));
                let _ = next(&format!("<a>;{field}"));
            }
        }
    }
}
