//! Which fields of a request did the framework refuse, and what may they be?
//!
//! It names the first that is wrong, in words of its own, and mostly by a type's name. So a request that it refused is held
//! against the API's document once more, and every field that disagrees is named.

use std::collections::HashMap;

use hyper::body::Bytes;
use poem::{Body, Endpoint, Middleware, Request, Result, http::Method};
use poem_openapi::error::{ParseParamError, ParsePathError, ParseRequestPayloadError};
use serde_json::{Map, Value};

use super::{
    API,
    limits::Size,
    problem::{FieldError, Problem},
};
use crate::datetime::{Day, Timestamp};

/// The parts of the API's document that say what requests may hold.
#[derive(Debug, Default)]
struct Document {
    /// By method and path: the operation's parameters and its body.
    operations: HashMap<(Method, Vec<String>), Operation>,
    schemas: Map<String, Value>,
}

#[derive(Debug, Default)]
struct Operation {
    parameters: HashMap<String, Value>,
    body: Option<Value>,
}

/// Explains what the framework refused, in a document of ours.
#[derive(Debug, Clone, Default)]
pub(crate) struct Explain(std::sync::Arc<Document>);

impl Explain {
    /// Returns what explains requests of the API that this document describes.
    pub(crate) fn new(document: &Value) -> Self {
        let mut operations = HashMap::new();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let Ok(method) = Method::from_bytes(method.to_uppercase().as_bytes()) else { continue };
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let parameters =
                    parameters.filter_map(|one| Some((one["name"].as_str()?.to_owned(), one["schema"].clone())));
                let body = operation.pointer("/requestBody/content").and_then(Value::as_object);
                let body = body.and_then(|types| types.values().next()).map(|one| one["schema"].clone());
                operations.insert((method, segments(path)), Operation { parameters: parameters.collect(), body });
            }
        }
        let schemas = document.pointer("/components/schemas").and_then(Value::as_object).cloned().unwrap_or_default();
        Self(std::sync::Arc::new(Document { operations, schemas }))
    }
}

impl<E: Endpoint> Middleware<E> for Explain {
    type Output = Explained<E>;

    fn transform(&self, endpoint: E) -> Explained<E> {
        Explained { endpoint, explain: self.clone() }
    }
}

/// An endpoint whose refusals are explained. Its requests' bodies are in memory, but for files, which have no fields.
pub(crate) struct Explained<E> {
    endpoint: E,
    explain: Explain,
}

impl<E: Endpoint> Endpoint for Explained<E> {
    type Output = E::Output;

    async fn call(&self, mut request: Request) -> Result<E::Output> {
        if !request.uri().path().starts_with(API) {
            return self.endpoint.call(request).await;
        }
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = match request.take_body() {
            body if body.is_empty() => Bytes::new(),
            body if request.data::<Size>() == Some(&Size::Streamed) => {
                request.set_body(body);
                Bytes::new()
            }
            body => {
                let bytes = body.into_bytes().await?;
                request.set_body(Body::from_bytes(bytes.clone()));
                bytes
            }
        };
        let outcome = self.endpoint.call(request).await;
        outcome.map_err(|error| match self.explain.0.explain(&method, &path, &body, &error) {
            Some(problem) => problem.into(),
            None => error,
        })
    }
}

impl Document {
    fn explain(&self, method: &Method, path: &str, body: &[u8], error: &poem::Error) -> Option<Problem> {
        let (known, operation) = self.operation(method, path.strip_prefix(API)?)?;
        let parameter = |name: &str, reason: &str| {
            let schema = operation.parameters.get(name);
            let message =
                schema.and_then(|schema| self.rule(schema)).unwrap_or_else(|| format!("cannot be used: {reason}"));
            Problem::fields(vec![FieldError::new(name, message)])
        };
        if let Some(error) = error.downcast_ref::<ParseParamError>() {
            return Some(parameter(error.name, &error.reason));
        }
        if let Some(error) = error.downcast_ref::<ParsePathError>() {
            // The framework counts them: `param0`.
            let number = error.name.strip_prefix("param").and_then(|number| number.parse::<usize>().ok());
            let name = known.iter().filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'));
            let name = number.and_then(|number| name.clone().nth(number)).unwrap_or(error.name);
            return Some(parameter(name, &error.reason));
        }
        error.downcast_ref::<ParseRequestPayloadError>()?;
        let body: Value = serde_json::from_slice(body).ok()?;
        let mut wrong = Vec::new();
        self.check(operation.body.as_ref()?, &body, "", &mut wrong);
        (!wrong.is_empty()).then(|| Problem::fields(wrong))
    }

    /// Returns an operation, and its path as the document has it.
    fn operation(&self, method: &Method, path: &str) -> Option<(&[String], &Operation)> {
        let asked = segments(path);
        let fits = |known: &[String]| {
            known.len() == asked.len()
                && known.iter().zip(&asked).all(|(known, asked)| known.starts_with('{') || known == asked)
        };
        let found = self.operations.iter().filter(|((known, path), _)| known == method && fits(path));
        let open = |path: &[String]| path.iter().filter(|segment| segment.starts_with('{')).count();
        found.min_by_key(|((_, path), _)| open(path)).map(|((_, path), operation)| (&**path, operation))
    }

    /// Notes what of a value is not as its schema says.
    fn check(&self, schema: &Value, value: &Value, name: &str, wrong: &mut Vec<FieldError>) {
        let schema = self.resolve(schema);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value, name, wrong);
        }
        if value.is_null() && schema["nullable"] == true || schema["type"].is_null() {
            return;
        }
        if !self.is_fit(schema, value) {
            let rule = match value {
                Value::Null => "must be omitted instead of null".to_owned(),
                _ => self.rule(schema).unwrap_or_else(|| "cannot be used".to_owned()),
            };
            wrong.push(FieldError::new(if name.is_empty() { "body" } else { name }, rule));
            return;
        }
        if let Value::Object(fields) = value {
            let within = |field: &str| if name.is_empty() { field.to_owned() } else { format!("{name}.{field}") };
            for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if !fields.contains_key(field) {
                    wrong.push(FieldError::new(&within(field), "is missing"));
                }
            }
            for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
                if let Some(value) = fields.get(field) {
                    self.check(schema, value, &within(field), wrong);
                }
            }
            if schema["additionalProperties"] == false {
                let unknown = fields.keys().filter(|field| schema["properties"].get(field.as_str()).is_none());
                wrong.extend(unknown.map(|field| FieldError::new(&within(field), "is not a field of this request")));
            }
        }
        if let Value::Array(values) = value {
            for (index, value) in values.iter().enumerate() {
                self.check(&schema["items"], value, &format!("{name}[{index}]"), wrong);
            }
        }
    }

    fn is_fit(&self, schema: &Value, value: &Value) -> bool {
        let length = |text: &str| {
            let (count, limit) = (text.chars().count() as u64, |name: &str| schema[name].as_u64());
            limit("minLength").is_none_or(|least| count >= least) && limit("maxLength").is_none_or(|most| count <= most)
        };
        if let Some(words) = schema["enum"].as_array() {
            return words.contains(value);
        }
        match (schema["type"].as_str().unwrap_or_default(), value) {
            ("object", Value::Object(_)) | ("array", Value::Array(_)) | ("boolean", Value::Bool(_)) => true,
            ("number", Value::Number(_)) => true,
            ("integer", Value::Number(number)) => number.is_i64() || number.is_u64(),
            ("string", Value::String(text)) => match schema["format"].as_str() {
                Some("date") => text.parse::<Day>().is_ok(),
                Some("date-time") => text.parse::<Timestamp>().is_ok(),
                _ => length(text),
            },
            _ => false,
        }
    }

    /// Returns what a field must be; reads on from its name.
    fn rule(&self, schema: &Value) -> Option<String> {
        let schema = self.resolve(schema);
        if let Some(part) = schema["allOf"].as_array().and_then(|parts| parts.first()) {
            return self.rule(part);
        }
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
            return Some(format!("must be one of {}", words.join(", ")));
        }
        let limit = |name: &str| schema[name].as_f64();
        Some(match (schema["type"].as_str()?, schema["format"].as_str()) {
            ("string", Some("date")) => "must be a day, such as 2026-11-24".to_owned(),
            ("string", Some("date-time")) => "must be a time, such as 2026-11-24T22:30:00Z (RFC 3339)".to_owned(),
            ("string", Some("cursor")) => "is not a cursor that this list returned as `next`".to_owned(),
            ("string", Some("idempotency-key")) => {
                "must be 1 to 255 visible ASCII characters without quotation marks and backslashes, bare or in quotation marks"
                    .to_owned()
            }
            ("string", _) => match (limit("minLength"), limit("maxLength")) {
                (Some(least), Some(most)) => format!("must be text of {least} to {most} characters"),
                (None, Some(most)) => format!("must be text of at most {most} characters"),
                _ => "must be text".to_owned(),
            },
            ("integer", _) => match (limit("minimum"), limit("maximum")) {
                (Some(least), Some(most)) => format!("must be a whole number from {least} to {most}"),
                _ => "must be a whole number".to_owned(),
            },
            ("boolean", _) => "must be true or false".to_owned(),
            ("number", _) => "must be a number".to_owned(),
            ("array", _) => "must be a list".to_owned(),
            ("object", _) => "must be an object".to_owned(),
            _ => return None,
        })
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|address| address.rsplit('/').next());
        name.and_then(|name| self.schemas.get(name)).unwrap_or(schema)
    }
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explained(method: &Method, path: &str, body: &Value, error: impl Into<poem::Error>) -> Vec<String> {
        let document = json!({
            "paths": { "/things/{id}": { "post": {
                "parameters": [
                    { "name": "id", "schema": { "type": "integer" } },
                    { "name": "limit", "schema": { "type": "integer", "minimum": 1.0, "maximum": 200.0 } },
                    { "name": "order", "schema": { "$ref": "#/components/schemas/Order" } },
                ],
                "requestBody": { "content": { "application/json; charset=utf-8": {
                    "schema": { "$ref": "#/components/schemas/Thing" }
                } } },
            } } },
            "components": { "schemas": {
                "Order": { "type": "string", "enum": ["up", "down"] },
                "Thing": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["title"],
                    "properties": {
                        "title": { "type": "string", "minLength": 1, "maxLength": 5 },
                        "order": { "$ref": "#/components/schemas/Order" },
                        "due": { "type": "string", "format": "date", "nullable": true },
                        "at": { "type": "string", "format": "date-time" },
                        "count": { "type": "integer" },
                        "on": { "type": "boolean" },
                        "inner": {
                            "type": "object",
                            "additionalProperties": false,
                            "required": ["id"],
                            "properties": { "id": { "type": "string" } },
                        },
                        "list": { "type": "array", "items": { "type": "string" } },
                    },
                },
            } },
        });
        let body = serde_json::to_vec(body).unwrap();
        let problem = Explain::new(&document).0.explain(method, path, &body, &error.into());
        let errors = problem.map(|problem| problem.errors().to_vec()).unwrap_or_default();
        let mut lines: Vec<_> = errors.iter().map(|error| format!("{} {}", error.name(), error.message())).collect();
        lines.sort_unstable();
        lines
    }

    #[test]
    fn every_field_of_a_body_that_disagrees_is_named() {
        let of = |body: Value, reason: &str| {
            let error = ParseRequestPayloadError { reason: reason.to_owned() };
            explained(&Method::POST, "/api/v1/things/7", &body, error)
        };
        for (body, reason, lines) in [
            (json!({}), "", &["title is missing"][..]),
            (json!([]), "", &["body must be an object"]),
            (json!({ "title": null }), "", &["title must be omitted instead of null"]),
            (
                json!({ "title": 3, "order": "left", "due": "soon", "at": "2026-11-24 22:30:00Z", "count": 1.5, "on": "yes" }),
                "",
                &[
                    "at must be a time, such as 2026-11-24T22:30:00Z (RFC 3339)",
                    "count must be a whole number",
                    "due must be a day, such as 2026-11-24",
                    "on must be true or false",
                    "order must be one of up, down",
                    "title must be text of 1 to 5 characters",
                ],
            ),
            (
                json!({ "title": "a", "inner": {}, "list": ["a", 2] }),
                "",
                &["inner.id is missing", "list[1] must be text"],
            ),
            (
                json!({ "title": "a", "titel": "b", "x": null, "inner": { "id": "a", "idd": 1 } }),
                "failed to parse \"Thing\": unknown field `titel`.",
                &[
                    "inner.idd is not a field of this request",
                    "titel is not a field of this request",
                    "x is not a field of this request",
                ],
            ),
            (json!({ "title": "a", "due": null, "count": 7, "on": true, "at": "2026-11-24t22:30:00z" }), "", &[]),
        ] {
            assert_eq!(of(body.clone(), reason), lines, "{body}");
        }
    }

    #[test]
    fn a_parameter_is_named_with_what_it_may_be() {
        let of = |name: &'static str| {
            let error = ParseParamError { name, reason: "whatever".to_owned() };
            explained(&Method::POST, "/api/v1/things/7", &Value::Null, error)
        };
        assert_eq!(of("limit"), ["limit must be a whole number from 1 to 200"]);
        assert_eq!(of("order"), ["order must be one of up, down"]);
        assert_eq!(of("new"), ["new cannot be used: whatever"]);
        let error = ParsePathError { name: "param0", reason: String::new() };
        assert_eq!(explained(&Method::POST, "/api/v1/things/x", &Value::Null, error), ["id must be a whole number"]);
    }
}
