//! What is the same for every operation of the API, held by the document: each is tried as it says.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::{
    accounts::browser::{Browser, PASSWORD, join},
    client::Answer,
    harness::{App, Data, Start},
};

/// An operation of the document.
#[derive(Clone)]
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

    /// Its JSON; none where it takes none, or a file.
    fn body<'a>(&'a self, document: &'a Value) -> Option<&'a Value> {
        let types = self.of.pointer("/requestBody/content")?.as_object()?;
        let (_, json) = types.iter().find(|(name, _)| name.starts_with("application/json"))?;
        Some(resolve(document, &json["schema"]))
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
                // Two requests may have one schema in them.
                if !closed.iter().any(|closed| std::ptr::eq(*closed, schema)) {
                    closed.push(schema);
                }
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
                    // With those that have to be there.
                    let others = operation.of["parameters"].as_array().into_iter().flatten();
                    let others =
                        others.filter(|one| one["in"] == "query" && one["required"] == true && one["name"] != name);
                    let others: String = others.map(|one| format!("&{}=x", one["name"].as_str().unwrap())).collect();
                    let address = format!("{}?{name}={wrong}{others}", operation.address("1"));
                    app.ask(&operation.method, &address, &[("content-type", "application/octet-stream")], b"")
                        .problem(400)
                }
                "path" if schema["type"] == "integer" => {
                    let address = operation.path.replace(&format!("{{{name}}}"), "nonsense");
                    let address = Operation { path: address, ..operation.clone() }.address("1");
                    app.ask(&operation.method, &address, &[], b"").problem(400)
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
        app.create(&json!({
            "title": format!("{number}"), "due_date": format!("2027-01-0{}", number + 1), "tags": [format!("tag {number}")],
        }));
        app.send("PATCH", "/api/v1/records/1", &json!({ "notes": format!("{number}") }));
        let deleted = app.create(&json!({ "title": "Deleted" }))["id"].to_string();
        app.ask("DELETE", &format!("/api/v1/records/{deleted}"), &[], b"");
        app.send("POST", "/api/v1/invitations", &json!({ "role": "guest" }));
        app.send("POST", "/api/v1/places", &json!({ "name": format!("{number}") }));
        let mut browser = Browser::default();
        browser.post(&app, "/api/v1/session", &json!({ "email": "anna@example.org", "password": PASSWORD }));
        anna.post(&app, "/api/v1/tokens", &json!({ "name": format!("{number}"), "scope": "read" }));
    }
    for number in 0..3 {
        let path = format!("/api/v1/records/1/attachments?name={number}.txt");
        assert_eq!(
            app.ask("POST", &path, &[("content-type", "text/plain")], format!("{number}").as_bytes()).status,
            201
        );
    }
    // What no test here has a device or a provider for.
    data.sql(
        "WITH one (n) AS (VALUES (1), (2), (3)), anna (id) AS (SELECT id FROM user WHERE email = 'anna@example.org')
         INSERT INTO passkey (user_id, name, credential_id, credential, created_at)
             SELECT id, 'Phone', 'credential ' || n, '{}', '2026-11-24T12:00:00.000Z' FROM anna, one",
    );
    data.sql(
        "WITH one (n) AS (VALUES (1), (2), (3)), anna (id) AS (SELECT id FROM user WHERE email = 'anna@example.org')
         INSERT INTO account (user_id, provider, provider_id, created_at, updated_at)
             SELECT id, 'oidc', 'issuer ' || n, '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z' FROM anna, one",
    );
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
        // A version has its number, and a tag its name alone.
        let ids = |page: &Value| -> Vec<String> {
            let id = |item: &Value| ["id", "version", "name"].iter().find_map(|key| item.get(key)).unwrap().to_string();
            page["items"].as_array().unwrap().iter().map(id).collect()
        };
        // In every order that it has; without `sort`, in the first.
        let orders = parameter("sort").map(|sort| resolve(&document, &sort["schema"])["enum"].as_array().unwrap());
        let orders: Vec<_> = orders.into_iter().flatten().map(|order| order.as_str().unwrap()).collect();
        let sorts = orders.iter().map(|order| format!("sort={order}&"));
        for sort in std::iter::once(String::new()).chain(sorts) {
            let all = get(&format!("{sort}limit=200")).json();
            assert!(all.get("next").is_none(), "{name}: {all}");
            assert_eq!(get(&sort).json()["items"][0], all["items"][0], "{name}");
            let (mut walked, mut query) = (Vec::new(), format!("{sort}limit=1"));
            loop {
                let page = get(&query).json();
                assert!(page["items"].as_array().unwrap().len() <= 1, "{name}: {page}");
                walked.extend(ids(&page));
                match page["next"].as_str() {
                    Some(next) => query = format!("{sort}limit=1&after={next}"),
                    None => break,
                }
            }
            assert!(walked.len() > 1, "{name}: there is nothing to walk through");
            assert_eq!(walked, ids(&all), "{name} {sort}");
        }
        for order in &orders {
            let of = |order: &str| format!("sort={order}&limit=200");
            let reverse = order.strip_suffix("_desc").map_or(format!("{order}_desc"), str::to_owned);
            let mut other_way = ids(&get(&of(&reverse)).json());
            other_way.reverse();
            assert_eq!(ids(&get(&of(order)).json()), other_way, "{name} {order}");
            // A cursor knows its order.
            let next = get(&format!("sort={order}&limit=1")).json()["next"].as_str().unwrap().to_owned();
            let problem = get(&format!("sort={reverse}&after={next}")).problem(400);
            assert_eq!(fields(&problem), ["after".to_owned()].into(), "{name} {order}: {problem}");
        }
        for (query, field) in
            [("limit=0", "limit"), ("limit=201", "limit"), ("after=nonsense", "after"), ("after=", "after")]
        {
            let problem = get(query).problem(400);
            assert_eq!(fields(&problem), [field.to_owned()].into(), "{name} {query}: {problem}");
        }
        lists += 1;
    }
    assert_eq!(lists, 14);
    app.stop();
}

#[test]
fn each_change_of_what_has_versions_knows_if_match() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (operations, _) = operations(&app);
    let has = |operation: &Operation, header: &str| {
        let mut parameters = operation.of["parameters"].as_array().into_iter().flatten();
        parameters.any(|one| one["in"] == "header" && one["name"] == header)
    };
    let mut tried = 0;
    let versioned = |one: &&Operation| one.of.pointer("/responses/200/headers/ETag").is_some();
    for versioned in operations.iter().filter(versioned).filter(|one| one.method == "GET") {
        // A preview is made of a file, which never changes: handing one in is no change of the record.
        let of_the_same = |one: &&Operation| one.path == versioned.path && one.name != "set_attachment_preview";
        assert!(has(versioned, "If-None-Match"), "{}", versioned.name);
        for change in operations.iter().filter(of_the_same).filter(|one| one.method != "GET") {
            let name = &change.name;
            assert!(has(change, "If-Match"), "{name}");
            assert!(change.of["responses"]["412"].is_object(), "{name}");
            let id = app.create(&json!({ "title": "Boiler" }))["id"].to_string();
            let address = change.address(&id);
            let before = app.get(&address);
            let send = |tag: &str| {
                let headers = [("content-type", "application/json"), ("if-match", tag)];
                let body: &[u8] = if change.of["requestBody"].is_object() { br#"{"title":"Stove"}"# } else { b"" };
                app.ask(&change.method, &address, &headers, body)
            };
            for stale in ["\"0\"", "W/\"1\"", "\"\u{e9}\""] {
                assert_eq!(send(stale).problem(412)["code"], "precondition_failed", "{name} {stale}");
            }
            assert_eq!(fields(&send("1").problem(400)), ["If-Match".to_owned()].into(), "{name}");
            assert_eq!(app.get(&address).json(), before.json(), "{name}");
            assert!(send(before.header("etag").unwrap()).status < 300, "{name}");
            tried += 1;
        }
    }
    assert_eq!(tried, 2);
    app.stop();
}

/// Creations that need no key, and why.
const WITHOUT_A_KEY: [(&str, &str); 10] = [
    ("set_up", "works once"),
    ("accept_invitation", "works once"),
    ("add_passkey", "the ceremony works once"),
    ("begin_passkey", "keeps nothing but a question"),
    ("begin_passkey_sign_in", "keeps nothing but a question"),
    ("begin_totp", "takes the place of the one before"),
    ("sign_in", "nobody is signed in, and a session more is one to end"),
    ("sign_in_by_passkey", "the ceremony works once"),
    ("confirm_totp", "works once"),
    ("create_upload", "is nothing until its last byte, and expires"),
];

#[test]
fn each_creation_knows_an_idempotency_key() {
    let data = Data::new();
    let member = data.add_person("member", "hearth_member");
    let app = Start::alone(&data).start();
    let (operations, _) = operations(&app);
    let mut tried = 0;
    for operation in operations.iter().filter(|one| one.of["responses"]["201"].is_object()) {
        let name = &*operation.name;
        if WITHOUT_A_KEY.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let key = operation.of["parameters"].as_array().into_iter().flatten();
        let key = key.filter(|one| one["in"] == "header").find(|one| one["name"] == "Idempotency-Key");
        let key = key.unwrap_or_else(|| panic!("{name} takes no Idempotency-Key; if it needs none, say why above"));
        assert_eq!((&key["required"], &key["schema"]["type"]), (&json!(false), &json!("string")), "{name}");
        let (bodies, is_secret) = match name {
            "create_record" => ([json!({ "title": "a" }), json!({ "title": "b" })], false),
            "create_place" => ([json!({ "name": "a" }), json!({ "name": "b" })], false),
            "create_token" => {
                ([json!({ "name": "a", "scope": "read" }), json!({ "name": "b", "scope": "read" })], true)
            }
            "create_invitation" => ([json!({ "role": "guest" }), json!({ "role": "member" })], true),
            // Its body is a file, of which each is another.
            "create_attachment" => ([json!("a"), json!("b")], false),
            "create_reset" => ([json!({}), json!({ "remove_totp": true })], true),
            new => panic!("{new} is a new creation: say here what it takes"),
        };
        let address = match name {
            "create_attachment" => {
                let id = app.create(&json!({ "title": "Boiler" }))["id"].to_string();
                format!("{}?name=a.txt", operation.address(&id))
            }
            _ => operation.address(&member.to_string()),
        };
        let send = |key: &str, body: &Value| {
            let headers = [("content-type", "application/json"), ("idempotency-key", key)];
            app.ask("POST", &address, &headers, body.to_string().as_bytes())
        };
        let first = send(name, &bodies[0]);
        assert_eq!(first.status, 201, "{name}: {first:?}");
        for _ in 0..2 {
            let again = send(name, &bodies[0]);
            if is_secret {
                assert_eq!(again.problem(409)["code"], "already_created", "{name}");
            } else {
                assert_eq!((again.status, again.json()), (201, first.json()), "{name}");
                assert_eq!(again.header("location"), first.header("location"), "{name}");
            }
        }
        assert_eq!(send(name, &bodies[1]).problem(422)["code"], "idempotency_key_reused", "{name}");
        assert_eq!(fields(&send("a b", &bodies[0]).problem(400)), ["Idempotency-Key".to_owned()].into(), "{name}");
        assert_eq!(send("another", &bodies[1]).status, if tried == 0 { 201 } else { 422 }, "{name}");
        tried += 1;
    }
    assert_eq!(tried, 6);
    // Pages of other origins may send it with a token.
    let preflight = [
        ("origin", "http://elsewhere.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization, idempotency-key"),
    ];
    let answer = app.ask_as_nobody("OPTIONS", "/api/v1/records", &preflight, b"");
    assert!(answer.header("access-control-allow-headers").unwrap().contains("idempotency-key"), "{answer:?}");
    app.stop();
}
