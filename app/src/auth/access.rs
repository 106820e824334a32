//! Who may do what? This is the one place: each operation of the API and each page, with the least role that may, and,
//! for a program's token, the least scope. What is not in here is done by nobody.

use poem::http::Method;

use super::role::{Role, Scope};

/// Who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Whoever reaches the house.
    Anyone,
    /// Somebody who is signed in, with at least this role.
    Role(Role),
}

/// An operation or a page, and who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The operation's id in the API's document, or a page's method and path.
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    /// The least scope of a token.
    pub(crate) scope: Scope,
    /// The largest body that a user may send, in bytes.
    pub(crate) body: usize,
}

/// The largest body of most: a new passkey is some kilobytes.
const BODY: usize = 64 * 1024;

const fn rule(name: &'static str, need: Need, scope: Scope) -> Rule {
    Rule { name, need, scope, body: BODY }
}

impl Rule {
    /// Takes a body of a mebibyte: notes of 100,000 characters with every one escaped fit.
    const fn with_large_body(self) -> Self {
        Self { body: 1 << 20, ..self }
    }
}

const ANYONE: Need = Need::Anyone;
const GUEST: Need = Need::Role(Role::Guest);
const MEMBER: Need = Need::Role(Role::Member);
const ADMIN: Need = Need::Role(Role::Admin);

/// The operations of the API.
const OPERATIONS: &[Rule] = &[
    rule("show_instance", GUEST, Scope::Read),
    rule("list_records", GUEST, Scope::Read),
    rule("get_record", GUEST, Scope::Read),
    rule("create_record", MEMBER, Scope::Write).with_large_body(),
    rule("update_record", MEMBER, Scope::Write).with_large_body(),
    rule("delete_record", MEMBER, Scope::Write),
    // Coming in.
    rule("show_auth", ANYONE, Scope::Read),
    rule("set_up", ANYONE, Scope::Admin),
    rule("sign_in", ANYONE, Scope::Admin),
    rule("begin_passkey_sign_in", ANYONE, Scope::Admin),
    rule("sign_in_by_passkey", ANYONE, Scope::Admin),
    rule("accept_invitation", ANYONE, Scope::Admin),
    rule("use_reset", ANYONE, Scope::Admin),
    // One's own account.
    rule("show_session", GUEST, Scope::Read),
    rule("sign_out", GUEST, Scope::Admin),
    rule("list_sessions", GUEST, Scope::Admin),
    rule("revoke_session", GUEST, Scope::Admin),
    rule("revoke_other_sessions", GUEST, Scope::Admin),
    rule("update_profile", GUEST, Scope::Admin),
    rule("change_password", GUEST, Scope::Admin),
    rule("show_totp", GUEST, Scope::Admin),
    rule("begin_totp", GUEST, Scope::Admin),
    rule("confirm_totp", GUEST, Scope::Admin),
    rule("remove_totp", GUEST, Scope::Admin),
    rule("list_passkeys", GUEST, Scope::Admin),
    rule("begin_passkey", GUEST, Scope::Admin),
    rule("add_passkey", GUEST, Scope::Admin),
    rule("delete_passkey", GUEST, Scope::Admin),
    rule("list_linked_accounts", GUEST, Scope::Admin),
    rule("unlink_account", GUEST, Scope::Admin),
    rule("list_tokens", GUEST, Scope::Admin),
    rule("create_token", GUEST, Scope::Admin),
    rule("revoke_token", GUEST, Scope::Admin),
    // The household.
    rule("list_users", ADMIN, Scope::Admin),
    rule("update_user", ADMIN, Scope::Admin),
    rule("create_reset", ADMIN, Scope::Admin),
    rule("list_invitations", ADMIN, Scope::Admin),
    rule("create_invitation", ADMIN, Scope::Admin),
    rule("revoke_invitation", ADMIN, Scope::Admin),
    rule("list_audit_events", ADMIN, Scope::Admin),
];

/// The pages. A token is for programs, which have the API: on a page it must be good for everything.
const PAGES: &[Rule] = &[
    rule("GET /", GUEST, Scope::Admin),
    rule("GET /api/v1/docs", GUEST, Scope::Read),
    rule("POST /records", MEMBER, Scope::Admin).with_large_body(),
    rule("GET /records/:id", GUEST, Scope::Admin),
    rule("POST /records/:id", MEMBER, Scope::Admin).with_large_body(),
    rule("POST /records/:id/delete", MEMBER, Scope::Admin),
    rule("GET /set-up", ANYONE, Scope::Admin),
    rule("POST /set-up", ANYONE, Scope::Admin),
    rule("GET /sign-in", ANYONE, Scope::Admin),
    rule("POST /sign-in", ANYONE, Scope::Admin),
    rule("POST /sign-in/code", ANYONE, Scope::Admin),
    rule("GET /sign-in/oidc", ANYONE, Scope::Admin),
    rule("GET /sign-in/oidc/callback", ANYONE, Scope::Admin),
    rule("POST /sign-out", GUEST, Scope::Admin),
    rule("GET /invitation/:token", ANYONE, Scope::Admin),
    rule("POST /invitation/:token", ANYONE, Scope::Admin),
    rule("GET /reset/:token", ANYONE, Scope::Admin),
    rule("POST /reset/:token", ANYONE, Scope::Admin),
    rule("GET /account", GUEST, Scope::Admin),
    rule("POST /account/profile", GUEST, Scope::Admin),
    rule("POST /account/password", GUEST, Scope::Admin),
    rule("POST /account/totp", GUEST, Scope::Admin),
    rule("POST /account/totp/confirm", GUEST, Scope::Admin),
    rule("POST /account/totp/remove", GUEST, Scope::Admin),
    rule("POST /account/passkeys/:id/delete", GUEST, Scope::Admin),
    rule("POST /account/linked/:id/unlink", GUEST, Scope::Admin),
    rule("POST /account/sessions/:id/revoke", GUEST, Scope::Admin),
    rule("POST /account/sessions/revoke-others", GUEST, Scope::Admin),
    rule("POST /account/tokens", GUEST, Scope::Admin),
    rule("POST /account/tokens/:id/revoke", GUEST, Scope::Admin),
    rule("GET /people", ADMIN, Scope::Admin),
    rule("POST /people/invitations", ADMIN, Scope::Admin),
    rule("POST /people/invitations/:id/revoke", ADMIN, Scope::Admin),
    rule("POST /people/:id", ADMIN, Scope::Admin),
    rule("POST /people/:id/reset", ADMIN, Scope::Admin),
    rule("GET /audit", ADMIN, Scope::Admin),
];

/// What is behind an address: its methods, and the rule of each.
#[derive(Debug, Clone)]
struct Address {
    segments: Vec<String>,
    rules: Vec<(Method, Rule)>,
}

/// All addresses that have rules.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    addresses: Vec<Address>,
}

impl Access {
    /// Returns the rules of the API that `spec` describes, which lives below `prefix`, and of the pages.
    ///
    /// # Errors
    ///
    /// Names the operations that have no rule.
    pub(crate) fn new(spec: &serde_json::Value, prefix: &str) -> Result<Self, String> {
        let mut access = Self { addresses: Vec::new() };
        let mut forgotten = Vec::new();
        for (path, operations) in spec["paths"].as_object().into_iter().flatten() {
            for (method, operation) in operations.as_object().into_iter().flatten() {
                let name = operation["operationId"].as_str().unwrap_or_default();
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or_default();
                match OPERATIONS.iter().find(|rule| rule.name == name) {
                    Some(rule) => access.add(&format!("{prefix}{path}"), method, *rule),
                    None => forgotten.push(format!("{method} {path} ({name})")),
                }
            }
        }
        for rule in PAGES {
            if let Some((method, path)) = rule.name.split_once(' ') {
                access.add(path, Method::from_bytes(method.as_bytes()).unwrap_or_default(), *rule);
            }
        }
        // What is named outright goes before what fits a pattern: /people/invitations before /people/:id.
        access.addresses.sort_by_key(|address| address.segments.iter().filter(|segment| is_open(segment)).count());
        if forgotten.is_empty() {
            Ok(access)
        } else {
            Err(format!("auth/access.rs has no rule for {}", forgotten.join(", ")))
        }
    }

    fn add(&mut self, path: &str, method: Method, rule: Rule) {
        let segments: Vec<_> = path.split('/').map(str::to_owned).collect();
        match self.addresses.iter_mut().find(|address| address.segments == segments) {
            Some(address) => address.rules.push((method, rule)),
            None => self.addresses.push(Address { segments, rules: vec![(method, rule)] }),
        }
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

    /// Returns the rule of a request; `None`: nothing is there that needs one.
    pub(crate) fn rule(&self, method: &Method, path: &str) -> Option<Rule> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let address = self.address(path)?;
        address.rules.iter().find(|(known, _)| known == method).map(|(_, rule)| *rule)
    }

    /// Returns the methods that an address answers, for the header `Allow`.
    pub(crate) fn methods(&self, path: &str) -> Vec<&str> {
        let Some(address) = self.address(path) else {
            // Style, icon, health and the API's document are read.
            return vec!["GET", "HEAD"];
        };
        let mut methods: Vec<_> = address.rules.iter().map(|(method, _)| method.as_str()).collect();
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
    use super::*;

    #[test]
    fn the_rule_of_an_address_is_found_by_method_and_pattern() {
        let access = Access::new(&serde_json::json!({}), "/api/v1").unwrap();
        let name = |method: Method, path: &str| access.rule(&method, path).map(|rule| rule.name);
        assert_eq!(name(Method::GET, "/"), Some("GET /"));
        assert_eq!(name(Method::HEAD, "/"), Some("GET /"));
        assert_eq!(name(Method::POST, "/people/7"), Some("POST /people/:id"));
        assert_eq!(name(Method::POST, "/people/invitations"), Some("POST /people/invitations"));
        assert_eq!(name(Method::POST, "/account/sessions/revoke-others"), Some("POST /account/sessions/revoke-others"));
        assert_eq!(name(Method::DELETE, "/"), None);
        assert_eq!(name(Method::GET, "/assets/hearth.css"), None);
        assert_eq!(access.methods("/records/1"), ["GET", "HEAD", "POST"]);
        assert_eq!(access.methods("/records"), ["POST"]);
    }

    #[test]
    fn an_operation_without_a_rule_is_named() {
        let spec = serde_json::json!({"paths": {"/x": {"get": {"operationId": "new_one"}}}});
        assert!(Access::new(&spec, "").unwrap_err().contains("GET /x (new_one)"));
    }
}
