//! Who may do what?
//!
//! There is no default: an operation of the API and a page are served with their rule or not at all. A feature lists both
//! beside each other; here they are put together and looked up.

use poem::{Response, endpoint::BoxEndpoint, http::Method};

use super::role::{Role, Scope};
use crate::http::Size;

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Whoever reaches the house.
    Public,
    /// A user with at least this role. A program's token needs at least this scope too; with no scope it takes a signed-in
    /// user, and no token will do.
    Role { least: Role, scope: Option<Scope> },
}

impl Rule {
    /// Returns the rule for somebody with at least this role, and a token with at least this scope.
    pub(crate) const fn role(least: Role, scope: Scope) -> Self {
        Self::Role { least, scope: Some(scope) }
    }

    /// Returns the rule for what outlives a token: another token, a passkey, a password, a second factor. With a token none
    /// of them is made or changed, so that whoever got hold of one is out once it is revoked.
    pub(crate) const fn signed_in(least: Role) -> Self {
        Self::Role { least, scope: None }
    }

    /// Returns the rule of a page. A token is for programs, which have the API: on a page it must be good for everything.
    pub(crate) const fn page(least: Role) -> Self {
        Self::role(least, Scope::Admin)
    }
}

/// The largest body of most: a new passkey is some kilobytes.
const BODY: Size = Size::User(64 * 1024);
/// The largest of those with much text: notes of 100,000 characters with every one escaped fit.
const LARGE_BODY: Size = Size::User(1 << 20);

/// Who may, and how much a user may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) rule: Rule,
    /// The largest body.
    pub(crate) body: Size,
}

/// An operation of the API with its terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// Its id in the API's document.
    id: &'static str,
    terms: Terms,
    writes: bool,
    statuses: &'static [u16],
}

impl Operation {
    /// Returns an operation with its rule.
    pub(crate) const fn new(id: &'static str, rule: Rule) -> Self {
        Self { id, terms: Terms { rule, body: BODY }, writes: true, statuses: &[] }
    }

    /// Takes a body with much text.
    pub(crate) const fn with_large_body(self) -> Self {
        Self { terms: Terms { body: LARGE_BODY, ..self.terms }, ..self }
    }

    /// Takes a file, which it reads piece by piece.
    pub(crate) const fn with_streamed_body(self) -> Self {
        Self { terms: Terms { body: Size::Streamed, ..self.terms }, ..self }
    }

    /// Writes nothing into the database, though it is no GET.
    pub(crate) const fn without_writing(self) -> Self {
        Self { writes: false, ..self }
    }

    /// Declares statuses for the API's document that do not follow from what the operation takes (`app/document.rs`).
    pub(crate) const fn may_give(self, statuses: &'static [u16]) -> Self {
        Self { statuses, ..self }
    }

    /// Returns its id in the API's document.
    pub(crate) fn id(&self) -> &'static str {
        self.id
    }

    /// Returns who may.
    pub(crate) fn rule(&self) -> Rule {
        self.terms.rule
    }

    /// Returns whether a change of it is written into the database.
    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// Returns the statuses that were declared.
    pub(crate) fn statuses(&self) -> &'static [u16] {
        self.statuses
    }
}

/// What a page is asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Get,
    Post,
}

/// A page, or a form of one, with its terms.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    verb: Verb,
    pub(crate) path: &'static str,
    terms: Terms,
    /// Makes what answers.
    pub(crate) endpoint: fn() -> BoxEndpoint<'static, Response>,
}

impl Page {
    /// Returns a page that is looked at.
    pub(crate) const fn get(path: &'static str, rule: Rule, endpoint: fn() -> BoxEndpoint<'static, Response>) -> Self {
        Self { verb: Verb::Get, path, terms: Terms { rule, body: BODY }, endpoint }
    }

    /// Returns what a form is sent to.
    pub(crate) const fn post(path: &'static str, rule: Rule, endpoint: fn() -> BoxEndpoint<'static, Response>) -> Self {
        Self { verb: Verb::Post, path, terms: Terms { rule, body: BODY }, endpoint }
    }

    /// Takes a form with files, which it reads piece by piece.
    pub(crate) const fn with_streamed_body(self) -> Self {
        Self { terms: Terms { body: Size::Streamed, ..self.terms }, ..self }
    }

    /// Takes a form with much text.
    pub(crate) const fn with_large_body(self) -> Self {
        Self { terms: Terms { body: LARGE_BODY, ..self.terms }, ..self }
    }

    /// Returns its method.
    pub(crate) fn method(&self) -> Method {
        match self.verb {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
        }
    }
}

/// What is behind an address: its methods, and the terms of each.
#[derive(Debug, Clone)]
struct Address {
    segments: Vec<String>,
    methods: Vec<(Method, Terms)>,
}

/// All addresses with their terms.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    addresses: Vec<Address>,
}

impl Access {
    /// Returns the terms of the API that `spec` describes, which lives below `prefix`, and of the pages.
    ///
    /// # Errors
    ///
    /// Names the operations that have no rule, the rules that have no operation, and what has two.
    pub(crate) fn new(
        spec: &serde_json::Value,
        prefix: &str,
        operations: &[Operation],
        pages: &[Page],
    ) -> Result<Self, String> {
        let (mut access, mut wrong, mut seen) = (Self::default(), Vec::new(), Vec::new());
        for (path, methods) in spec["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let id = operation["operationId"].as_str().unwrap_or_default();
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or_default();
                seen.push(id);
                match operations.iter().find(|operation| operation.id == id) {
                    Some(operation) => wrong.extend(access.add(&format!("{prefix}{path}"), method, operation.terms)),
                    None => wrong.push(format!("{method} {path} ({id}) has no rule")),
                }
            }
        }
        for (at, operation) in operations.iter().enumerate() {
            if !seen.contains(&operation.id) {
                wrong.push(format!("the rule of {} has no operation", operation.id));
            }
            if operations[..at].iter().any(|earlier| earlier.id == operation.id) {
                wrong.push(format!("{} has two rules", operation.id));
            }
        }
        for page in pages {
            wrong.extend(access.add(page.path, page.method(), page.terms));
        }
        // What is named outright goes before what fits a pattern: /people/invitations before /people/:id.
        access.addresses.sort_by_key(|address| address.segments.iter().filter(|segment| is_open(segment)).count());
        if wrong.is_empty() { Ok(access) } else { Err(wrong.join("; ")) }
    }

    /// Adds a method of an address; returns what is wrong with it.
    fn add(&mut self, path: &str, method: Method, terms: Terms) -> Option<String> {
        let segments: Vec<_> = path.split('/').map(str::to_owned).collect();
        let Some(address) = self.addresses.iter_mut().find(|address| address.segments == segments) else {
            self.addresses.push(Address { segments, methods: vec![(method, terms)] });
            return None;
        };
        if address.methods.iter().any(|(known, _)| *known == method) {
            return Some(format!("{method} {path} has two rules"));
        }
        address.methods.push((method, terms));
        None
    }

    fn address(&self, path: &str) -> Option<&Address> {
        let segments: Vec<_> = path.split('/').collect();
        self.addresses.iter().find(|address| {
            address.segments.len() == segments.len()
                && address
                    .segments
                    .iter()
                    .zip(&segments)
                    .all(|(pattern, segment)| is_open(pattern) || pattern == segment)
        })
    }

    /// Returns the terms of a request; `None`: nothing of a feature's is there.
    pub(crate) fn terms(&self, method: &Method, path: &str) -> Option<Terms> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let address = self.address(path)?;
        address.methods.iter().find(|(known, _)| known == method).map(|(_, terms)| *terms)
    }

    /// Returns the methods that an address answers, for the header `Allow`.
    pub(crate) fn methods(&self, path: &str) -> Vec<&str> {
        let Some(address) = self.address(path) else {
            // Style, icon, health and the API's document are read.
            return vec!["GET", "HEAD"];
        };
        let mut methods: Vec<_> = address.methods.iter().map(|(method, _)| method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.sort_unstable();
        methods
    }
}

/// Whether anything may stand in a segment of a pattern.
fn is_open(segment: &str) -> bool {
    segment.starts_with(['{', ':'])
}

#[cfg(test)]
mod tests {
    use poem::{EndpointExt, endpoint::make_sync};

    use super::*;

    const GUEST: Rule = Rule::page(Role::Guest);
    const ADMIN: Rule = Rule::page(Role::Admin);

    fn nothing() -> BoxEndpoint<'static, Response> {
        make_sync(|_| Response::default()).boxed()
    }

    #[test]
    fn the_rule_of_an_address_is_found_by_method_and_pattern() {
        let pages = [
            Page::get("/", GUEST, nothing),
            Page::post("/people/:id", ADMIN, nothing),
            Page::post("/people/invitations", Rule::Public, nothing).with_large_body(),
            Page::get("/records/:id", GUEST, nothing),
            Page::post("/records/:id", GUEST, nothing),
            Page::post("/records", GUEST, nothing),
        ];
        let access = Access::new(&serde_json::json!({}), "/api/v1", &[], &pages).unwrap();
        let rule = |method: Method, path: &str| access.terms(&method, path).map(|terms| terms.rule);
        assert_eq!(rule(Method::GET, "/"), Some(GUEST));
        assert_eq!(rule(Method::HEAD, "/"), Some(GUEST));
        assert_eq!(rule(Method::POST, "/people/7"), Some(ADMIN));
        assert_eq!(rule(Method::POST, "/people/invitations"), Some(Rule::Public));
        assert_eq!(access.terms(&Method::POST, "/people/invitations").unwrap().body, LARGE_BODY);
        assert_eq!(access.terms(&Method::POST, "/people/7").unwrap().body, BODY);
        assert_eq!(rule(Method::DELETE, "/"), None);
        assert_eq!(rule(Method::GET, "/assets/hearth.css"), None);
        assert_eq!(access.methods("/records/1"), ["GET", "HEAD", "POST"]);
        assert_eq!(access.methods("/records"), ["POST"]);
    }

    #[test]
    fn what_has_no_rule_or_two_or_no_operation_is_named() {
        let spec = serde_json::json!({"paths": {"/x": {"get": {"operationId": "new_one"}}}});
        let wrong = |operations: &[Operation], pages: &[Page]| Access::new(&spec, "", operations, pages).unwrap_err();
        assert_eq!(wrong(&[], &[]), "GET /x (new_one) has no rule");
        let rule = Operation::new("new_one", Rule::Public);
        assert_eq!(wrong(&[rule, rule], &[]), "new_one has two rules");
        assert_eq!(wrong(&[rule, Operation::new("old_one", GUEST)], &[]), "the rule of old_one has no operation");
        assert_eq!(wrong(&[rule], &[Page::get("/x", GUEST, nothing)]), "GET /x has two rules");
        assert!(Access::new(&spec, "", &[rule], &[Page::post("/x", GUEST, nothing)]).is_ok());
    }
}
