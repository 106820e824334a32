//! What is the same for every operation of the API, held by the document: each is tried as it says.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    accounts::browser::{Browser, PASSWORD, join},
    client::Answer,
    harness::{App, Data, Start},
};

/// An operation of the document.
struct Operation {
    name: String,
    method: String,
    path: String,
    of: Value,
}

/// The operations, and the document.
fn operations(app: &App) -> (Vec<Operation>, Value) {
    let document = app.get("/api/v1/openapi.json").json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, of) in methods.as_object().unwrap() {
            let name = of["operationId"].as_str().unwrap().to_owned();
            operations.push(Operation { name, method: method.to_uppercase(), path: path.clone(), of: of.clone() });
        }
    }
    assert!(operations.len() >= 40, "{}", operations.len());
    (operations, document)
}

impl Operation {
    /// Its address, with this in place of what is open in it.
    fn address(&self, open: &str) -> String {
        let segments = self.path.split('/').map(|segment| if segment.starts_with('{') { open } else { segment });
        format!("/api/v1{}", segments.collect::<Vec<_>>().join("/"))
    }

    fn body<'a>(&'a self, document: &'a Value) -> Option<&'a Value> {
        let types = self.of.pointer("/requestBody/content")?.as_object()?;
        Some(resolve(document, &types.values().next()?["schema"]))
    }

    fn send(&self, app: &App, body: &[u8]) -> Answer {
        let json = [("content-type", "application/json")];
        app.ask(&self.method, &self.address("1"), if body.is_empty() { &[] } else { &json }, body)
    }
}

fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|address| address.rsplit('/').next()) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    }
}

/// A value that a schema does not allow.
fn unfit(schema: &Value) -> Value {
    match schema["type"].as_str() {
        Some("string") if schema["enum"].is_array() || schema["format"].is_string() => json!("nonsense"),
        Some("string") => json!(["a"]),
        _ => json!("nonsense"),
    }
}

fn fields(problem: &Value) -> BTreeSet<String> {
    let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("no errors: {problem}"));
    errors
        .iter()
        .map(|error| {
            let message = error["message"].as_str().unwrap();
            assert!(
                !message.is_empty() && !message.contains("failed to parse") && !message.contains("occurred"),
                "{problem}"
            );
            error["field"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
fn every_wrong_field_of_every_body_is_named() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (operations, document) = operations(&app);
    let mut tried = 0;
    for operation in &operations {
        let Some(body) = operation.body(&document) else { continue };
        let name = &operation.name;
        let properties = body["properties"].as_object().cloned().unwrap_or_default();
        // What is no JSON has no fields; what is no object is no body.
        assert_eq!(operation.send(&app, b"{\"a\":").problem(400)["code"], "malformed_request", "{name}");
        assert_eq!(operation.send(&app, b"[]").problem(400)["code"], "invalid_fields", "{name}");
        // All fields at once.
        let wrong: Map<_, _> = properties
            .iter()
            .filter(|(_, schema)| resolve(&document, schema)["type"].is_string())
            .map(|(field, schema)| (field.clone(), unfit(resolve(&document, schema))))
            .collect();
        let expected: BTreeSet<_> = wrong.keys().cloned().collect();
        let problem = operation.send(&app, Value::Object(wrong).to_string().as_bytes()).problem(400);
        assert_eq!(problem["code"], "invalid_fields", "{name}: {problem}");
        assert!(fields(&problem).is_superset(&expected), "{name}: {problem}");
        // Those that have to be there.
        let required: BTreeSet<_> =
            body["required"].as_array().into_iter().flatten().map(|field| field.as_str().unwrap().to_owned()).collect();
        if !required.is_empty() {
            let problem = operation.send(&app, b"{}").problem(400);
            assert_eq!(fields(&problem), required, "{name}: {problem}");
        }
        // Those that are not known, and the document says so.
        assert_eq!(body["additionalProperties"], false, "{name}");
        let problem = operation.send(&app, b"{\"titel\": 1, \"x\": null}").problem(400);
        let unknown = fields(&problem);
        assert!(unknown.contains("titel") && unknown.contains("x"), "{name}: {problem}");
        tried += 1;
    }
    assert!(tried >= 12, "{tried}");
    app.stop();
}

#[test]
fn requests_take_no_other_fields_and_answers_may_have_more() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (operations, document) = operations(&app);
    let mut closed = Vec::new();
    for operation in &operations {
        let mut left: Vec<_> = operation.body(&document).into_iter().collect();
        while let Some(schema) = left.pop() {
            if schema["type"] == "object" {
                assert_eq!(schema["additionalProperties"], false, "{}: {schema}", operation.name);
                closed.push(schema);
            }
            left.extend(schema["items"].as_object().map(|_| resolve(&document, &schema["items"])));
            let properties = schema["properties"].as_object().into_iter().flatten();
            left.extend(properties.map(|(_, schema)| resolve(&document, schema)));
        }
    }
    assert!(closed.len() >= 12, "{}", closed.len());
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let is_of_a_request = closed.iter().any(|closed| std::ptr::eq(*closed, schema));
        assert_eq!(schema["additionalProperties"] == false, is_of_a_request, "{name}");
    }
    // The page for people shows the same document.
    let page = app.ask("GET", "/api/v1/docs", &[("accept", "text/html")], b"");
    assert_eq!(page.text().matches("\"additionalProperties\": false").count(), closed.len());
    app.stop();
}

#[test]
fn every_wrong_parameter_is_named() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (operations, document) = operations(&app);
    let mut tried = 0;
    for operation in &operations {
        for parameter in operation.of["parameters"].as_array().into_iter().flatten() {
            let (name, schema) = (parameter["name"].as_str().unwrap(), resolve(&document, &parameter["schema"]));
            let is_free = schema["type"] == "string" && schema["enum"].is_null() && schema["format"].is_null();
            let problem = match parameter["in"].as_str().unwrap() {
                "query" if is_free && schema["maxLength"].is_null() => continue,
                "query" => {
                    let wrong = if is_free { "x".repeat(3000) } else { "nonsense".to_owned() };
                    let address = format!("{}?{name}={wrong}", operation.address("1"));
                    app.ask(&operation.method, &address, &[], b"").problem(400)
                }
                "path" if schema["type"] == "integer" => {
                    app.ask(&operation.method, &operation.address("nonsense"), &[], b"").problem(400)
                }
                _ => continue,
            };
            assert_eq!(problem["code"], "invalid_fields", "{}: {problem}", operation.name);
            assert!(fields(&problem).contains(name), "{} {name}: {problem}", operation.name);
            tried += 1;
        }
    }
    assert!(tried >= 10, "{tried}");
    app.stop();
}

#[test]
fn every_problem_has_a_code_that_the_document_lists_and_no_response_is_stored() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (operations, document) = operations(&app);
    let codes = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
    let cookie = join(&app, "member", "anna@example.org").cookie();
    for operation in &operations {
        let name = &operation.name;
        let address = operation.address("999999");
        let body: &[u8] = if operation.body(&document).is_some() { b"{}" } else { b"" };
        let json = ("content-type", "application/json");
        let ask = |headers: &[(&str, &str)]| app.ask_as_nobody(&operation.method, &address, headers, body);
        for (headers, code) in [
            (&[json][..], None),
            (&[json, ("authorization", "Bearer nonsense")], Some("unauthenticated")),
            (&[json, ("host", "evil.example")], Some("unknown_host")),
            (&[json, ("cookie", &*cookie), ("origin", "http://evil.example")], Some("foreign_origin")),
            (&[json, ("cookie", &*cookie), ("origin", "http://hearth")], None),
        ] {
            let answer = ask(headers);
            assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}: {answer:?}");
            if answer.status < 400 {
                continue;
            }
            let problem = answer.problem(answer.status);
            assert!(codes.contains(&problem["code"]), "{name}: {problem}");
            let is_public = operation.of["security"].as_array().is_none_or(Vec::is_empty);
            match code {
                Some("foreign_origin") if operation.method == "GET" => {}
                Some("unauthenticated") if is_public => {}
                Some(code) => assert_eq!(problem["code"], code, "{name}: {problem}"),
                None => {}
            }
        }
        // Whoever may, too.
        let answer = app.ask(&operation.method, &address, &[json], body);
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}: {answer:?}");
    }
    for (method, path, status, code) in [
        ("GET", "/api/v1/nowhere", 404, "not_found"),
        ("PUT", "/api/v1/records", 405, "method_not_allowed"),
        ("POST", "/api/v1/records", 415, "unsupported_media_type"),
    ] {
        assert_eq!(app.ask(method, path, &[], b"").problem(status)["code"], code);
    }
    // Pages, errors among them; what is for everybody may be kept.
    for path in ["/", "/account", "/people", "/nowhere", "/sign-in", "/health"] {
        let answer = app.ask("GET", path, &[("accept", "text/html"), ("cookie", &*cookie)], b"");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
    }
    assert!(app.get("/assets/hearth.css").header("cache-control").unwrap().contains("immutable"));
    app.stop();
}

#[test]
fn a_wrong_field_has_one_status_in_the_api_and_on_the_pages() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let form = ("content-type", "application/x-www-form-urlencoded");
    let of_the_api = app.send("POST", "/api/v1/records", &json!({ "title": " " })).problem(400);
    let of_the_page =
        app.ask("POST", "/records", &[form, ("accept", "text/html")], b"title=+&category=&notes=&due_date=");
    assert_eq!(fields(&of_the_api), ["title".to_owned()].into());
    assert_eq!(of_the_page.status, 400);
    app.stop();
}

#[test]
fn each_list_pages_alike() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "anna@example.org");
    join(&app, "member", "ben@example.org");
    for number in 0..3 {
        app.create(&json!({ "title": format!("{number}") }));
        app.send("POST", "/api/v1/invitations", &json!({ "role": "guest" }));
        let mut browser = Browser::default();
        browser.post(&app, "/api/v1/session", &json!({ "email": "anna@example.org", "password": PASSWORD }));
        anna.post(&app, "/api/v1/tokens", &json!({ "name": format!("{number}"), "scope": "read" }));
    }
    let (operations, document) = operations(&app);
    let mut lists = 0;
    for operation in operations
        .iter()
        .filter(|operation| operation.name.starts_with("list_") && operation.name != "list_record_changes")
    {
        let name = &operation.name;
        let content = operation.of.pointer("/responses/200/content").unwrap().as_object().unwrap();
        let schema = resolve(&document, &content.values().next().unwrap()["schema"]);
        assert_eq!(schema["properties"]["items"]["type"], "array", "{name}");
        assert_eq!(schema["properties"]["next"]["type"], "string", "{name}");
        assert_eq!(schema["required"], json!(["items"]), "{name}");
        let parameters: Vec<_> = operation.of["parameters"].as_array().unwrap().iter().collect();
        let parameter = |name: &str| parameters.iter().find(|one| one["name"] == name).copied();
        let limit = &parameter("limit").unwrap_or_else(|| panic!("{name}"))["schema"];
        assert_eq!((&limit["minimum"], &limit["maximum"]), (&json!(1.0), &json!(200.0)), "{name}");
        assert!(parameter("after").is_some(), "{name}");
        for parameter in ["order", "before", "offset", "page"] {
            assert!(!parameters.iter().any(|one| one["name"] == parameter), "{name}: {parameter}");
        }
        // One's own are Anna's, the household's are the owner's to see.
        let mut get = |query: &str| {
            let path = format!("{}?{query}", operation.address("1"));
            let own = operation.of["tags"] == json!(["Account"]);
            if own { anna.get(&app, &path) } else { app.get(&path) }
        };
        let ids = |page: &Value| -> Vec<_> {
            page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect()
        };
        let all = get("limit=200").json();
        assert!(all.get("next").is_none(), "{name}: {all}");
        assert_eq!(get("").json()["items"][0], all["items"][0], "{name}");
        let (mut walked, mut query) = (Vec::new(), "limit=1".to_owned());
        loop {
            let page = get(&query).json();
            assert!(page["items"].as_array().unwrap().len() <= 1, "{name}: {page}");
            walked.extend(ids(&page));
            match page["next"].as_str() {
                Some(next) => query = format!("limit=1&after={next}"),
                None => break,
            }
        }
        assert_eq!(walked, ids(&all), "{name}");
        for (query, field) in
            [("limit=0", "limit"), ("limit=201", "limit"), ("after=nonsense", "after"), ("after=", "after")]
        {
            let problem = get(query).problem(400);
            assert_eq!(fields(&problem), [field.to_owned()].into(), "{name} {query}: {problem}");
        }
        lists += 1;
    }
    assert_eq!(lists, 9);
    app.stop();
}
