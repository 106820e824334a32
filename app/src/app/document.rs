//! What does the API's document say beyond what the framework writes?
//!
//! *Only the statuses that an operation can give.* Responses are a few enums that list every status. Which of them an
//! operation gives follows from what it takes: `If-Match` for 412, an id in the path for 404, a body for 413, and so on.
//! What does not follow, the feature declares beside the operation's rule ([`Operation::may_give`]).
//!
//! *That requests take no other fields.* The framework refuses them and cannot write `additionalProperties: false`.
//!
//! [`Operation::may_give`]: crate::feature::Operation::may_give

use std::collections::HashMap;

use poem::{endpoint::BoxEndpoint, http::Method};
use poem_openapi::{
    OpenApi,
    registry::{MetaApi, MetaOperation, MetaParamIn, MetaSchema, MetaSchemaRef, Registry},
};

use super::FEATURES;
use crate::{
    auth::role::{Role, Scope},
    feature::{Operation, Rule},
};

/// Stands for `false` until the document is text: the framework knows schemas only.
const NO_OTHER_FIELDS: &str = "no other fields";

/// The headers of responses, as they are spelt.
const HEADERS: [&str; 3] = ["ETag", "Location", "Upload-Offset"];

/// An API whose document is completed.
pub(super) struct Documented<A>(pub(super) A);

impl<A: OpenApi> OpenApi for Documented<A> {
    fn meta() -> Vec<MetaApi> {
        let mut apis = A::meta();
        let operations = apis.iter_mut().flat_map(|api| &mut api.paths).flat_map(|path| &mut path.operations);
        for operation in operations {
            let id = operation.operation_id.unwrap_or_default();
            let mut known = FEATURES.iter().flat_map(|feature| feature.operations);
            // One without a rule is not served.
            let Some(known) = known.find(|known| known.id() == id) else { continue };
            let mut responses = std::mem::take(&mut operation.responses.responses);
            responses.retain(|response| response.status.is_none_or(|status| can_give(operation, known, status)));
            for header in responses.iter_mut().flat_map(|response| &mut response.headers) {
                // The framework writes them in capitals.
                let spelt = HEADERS.into_iter().find(|spelt| spelt.eq_ignore_ascii_case(&header.name));
                header.name = spelt.map_or_else(|| std::mem::take(&mut header.name), str::to_owned);
            }
            operation.responses.responses = responses;
        }
        apis
    }

    fn register(registry: &mut Registry) {
        A::register(registry);
        let mut left = Vec::new();
        for operation in A::meta().iter().flat_map(|api| &api.paths).flat_map(|path| &path.operations) {
            let bodies = operation.request.iter().flat_map(|request| &request.content);
            bodies.for_each(|body| references(&body.schema, &mut left));
        }
        while let Some(name) = left.pop() {
            let Some(schema) = registry.schemas.get_mut(&name) else { continue };
            if schema.ty == "object" && schema.additional_properties.is_none() {
                schema.properties.iter().for_each(|(_, schema)| references(schema, &mut left));
                schema.additional_properties =
                    Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::new(NO_OTHER_FIELDS)))));
            }
        }
    }

    fn add_routes(self, routes: &mut HashMap<String, HashMap<Method, BoxEndpoint<'static>>>) {
        self.0.add_routes(routes);
    }
}

/// Returns whether an operation can give a status.
fn can_give(operation: &MetaOperation, known: &Operation, status: u16) -> bool {
    let takes = |place, name: &str| operation.params.iter().any(|one| one.in_type == place && one.name == name);
    let changes = operation.method != Method::GET;
    let for_users = known.rule() != Rule::Public;
    let follows = match status {
        ..=400 | 421 | 500 | 503 => true,
        401 => for_users,
        // A change may come from a page of another site; of what every user may read, no token is too weak.
        403 => changes || for_users && known.rule() != Rule::role(Role::Guest, Scope::Read),
        404 => operation.params.iter().any(|one| one.in_type == MetaParamIn::Path),
        408 | 413 | 415 => operation.request.is_some(),
        // The role of who writes may just have changed.
        409 => for_users && changes && known.writes(),
        412 => takes(MetaParamIn::Header, "If-Match"),
        422 => takes(MetaParamIn::Header, "Idempotency-Key"),
        507 => changes && known.writes(),
        _ => false,
    };
    follows || known.statuses().contains(&status)
}

/// Adds the names of the schemas that a schema refers to.
fn references(schema: &MetaSchemaRef, names: &mut Vec<String>) {
    match schema {
        MetaSchemaRef::Reference(name) => names.push(name.clone()),
        MetaSchemaRef::Inline(schema) => {
            let parts = schema.all_of.iter().chain(&schema.any_of).chain(&schema.one_of);
            let fields = schema.properties.iter().map(|(_, schema)| schema);
            parts.chain(schema.items.as_deref()).chain(fields).for_each(|part| references(part, names));
        }
    }
}

/// Returns the document, or a page that holds it, with what the framework cannot write.
pub(super) fn finished(document: &str) -> String {
    let (mut finished, mut rest) = (String::with_capacity(document.len()), document);
    while let Some(at) = rest.find(NO_OTHER_FIELDS) {
        let (before, behind) = rest.split_at(at);
        let (Some(begin), Some(end)) = (before.rfind('{'), behind.find('}')) else { break };
        finished.push_str(&before[..begin]);
        finished.push_str("false");
        rest = &behind[end + 1..];
    }
    finished + rest
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::app::spec;

    fn statuses(document: &Value, id: &str) -> Vec<u16> {
        let paths = document["paths"].as_object().unwrap().values();
        let mut all = paths.flat_map(|path| path.as_object().unwrap().values());
        let operation = all.find(|operation| operation["operationId"] == id).unwrap_or_else(|| panic!("{id}"));
        operation["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap()).collect()
    }

    #[test]
    fn an_operation_lists_what_it_can_give_and_no_more() {
        let document = serde_json::from_str(&spec()).unwrap();
        for (id, expected) in [
            ("show_auth", &[200, 400, 421, 500, 503][..]),
            ("list_records", &[200, 400, 401, 421, 500, 503]),
            ("list_record_changes", &[200, 400, 401, 410, 421, 500, 503]),
            ("get_record", &[200, 304, 400, 401, 404, 421, 500, 503]),
            ("list_users", &[200, 400, 401, 403, 421, 500, 503]),
            ("sign_in", &[201, 400, 401, 403, 408, 413, 415, 421, 429, 500, 503, 507]),
            ("begin_passkey_sign_in", &[201, 400, 403, 409, 421, 500, 503]),
            ("begin_passkey", &[201, 400, 401, 403, 409, 421, 500, 503]),
            ("create_record", &[201, 400, 401, 403, 408, 409, 410, 413, 415, 421, 422, 500, 503, 507]),
            ("create_token", &[201, 400, 401, 403, 408, 409, 413, 415, 421, 422, 500, 503, 507]),
            ("update_record", &[200, 400, 401, 403, 404, 408, 409, 412, 413, 415, 421, 500, 503, 507]),
            ("delete_record", &[204, 400, 401, 403, 404, 409, 412, 421, 500, 503, 507]),
            ("revoke_other_sessions", &[204, 400, 401, 403, 409, 421, 500, 503, 507]),
            ("change_password", &[204, 400, 401, 403, 408, 409, 413, 415, 421, 429, 500, 503, 507]),
        ] {
            assert_eq!(statuses(&document, id), expected, "{id}");
        }
        for operation in FEATURES.iter().flat_map(|feature| feature.operations) {
            for status in operation.statuses() {
                let documented = statuses(&document, operation.id());
                assert!(documented.contains(status), "{} cannot give the {status} that it declares", operation.id());
            }
        }
    }

    #[test]
    fn what_the_framework_cannot_write_is_put_in_everywhere() {
        let marked = format!(r#"a {{"x": {{ "type": "{NO_OTHER_FIELDS}" }}, "y": {{"type": "{NO_OTHER_FIELDS}"}}}} b"#);
        assert_eq!(finished(&marked), r#"a {"x": false, "y": false} b"#);
        assert_eq!(finished("{}"), "{}");
    }
}
