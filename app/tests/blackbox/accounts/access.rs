//! The one table of who may do what, held by asking each operation of the API's document as everybody.

use serde_json::{Value, json};

use crate::{
    client::Answer,
    harness::{App, Data, SESSION, SESSION_HTTPS, Start},
};

/// Operation, and whether anonymous, guest, member, admin and owner may.
const TABLE: &str = "
show_auth             + + + + +
set_up                + + + + +
sign_in               + + + + +
begin_passkey_sign_in + + + + +
sign_in_by_passkey    + + + + +
accept_invitation     + + + + +
use_reset             + + + + +
show_instance         - + + + +
list_records          - + + + +
get_record            - + + + +
list_record_changes   - + + + +
list_people           - + + + +
create_record         - - + + +
update_record         - - + + +
delete_record         - - + + +
list_places           - + + + +
create_place          - - + + +
update_place          - - + + +
delete_place          - - + + +
list_tags             - + + + +
rename_tag            - - + + +
delete_tag            - - + + +
list_attachments      - + + + +
get_attachment        - + + + +
get_attachment_content - + + + +
get_attachment_preview - + + + +
set_attachment_preview - - + + +
create_attachment     - - + + +
update_attachment     - - + + +
delete_attachment     - - + + +
create_upload         - - + + +
get_upload            - - + + +
append_upload         - - + + +
delete_upload         - - + + +
list_record_versions  - - + + +
get_record_version    - - + + +
restore_record_version - - + + +
list_trash            - - + + +
restore_from_trash    - - + + +
delete_from_trash     - - + + +
show_session          - + + + +
sign_out              - + + + +
list_sessions         - + + + +
revoke_session        - + + + +
revoke_other_sessions - + + + +
update_profile        - + + + +
change_password       - + + + +
show_totp             - + + + +
begin_totp            - + + + +
confirm_totp          - + + + +
remove_totp           - + + + +
list_passkeys         - + + + +
begin_passkey         - + + + +
add_passkey           - + + + +
delete_passkey        - + + + +
list_linked_accounts  - + + + +
unlink_account        - + + + +
list_tokens           - + + + +
create_token          - + + + +
revoke_token          - + + + +
list_users            - - - + +
update_user           - - - + +
create_reset          - - - + +
list_invitations      - - - + +
create_invitation     - - - + +
revoke_invitation     - - - + +
list_audit_events     - - - + +
export_binder         - - + + +
import_binder         - - - + +
import_homebox        - - - + +
";

/// What tokens of the scopes read, write and admin may of what an owner may; what is not listed is for admin alone.
const SCOPES: &str = "
show_instance + + +
export_binder + + +
list_records  + + +
get_record    + + +
list_record_changes + + +
list_people   + + +
show_session  + + +
create_record - + +
update_record - + +
delete_record - + +
list_places   + + +
create_place  - + +
update_place  - + +
delete_place  - + +
list_tags     + + +
rename_tag    - + +
delete_tag    - + +
list_attachments + + +
get_attachment + + +
get_attachment_content + + +
get_attachment_preview + + +
set_attachment_preview - + +
create_attachment - + +
update_attachment - + +
delete_attachment - + +
create_upload - + +
get_upload - + +
append_upload - + +
delete_upload - + +
list_record_versions   + + +
get_record_version     + + +
restore_record_version - + +
list_trash             + + +
restore_from_trash     - + +
delete_from_trash      - + +
change_password - - -
begin_totp      - - -
confirm_totp    - - -
remove_totp     - - -
begin_passkey   - - -
add_passkey     - - -
delete_passkey  - - -
unlink_account  - - -
create_token    - - -
create_reset    - - -
";

struct Operation {
    name: String,
    method: String,
    path: String,
}

fn operations(app: &App) -> Vec<Operation> {
    let spec = app.get("/api/v1/openapi.json").json();
    let paths = spec["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, methods)| {
        methods.as_object().unwrap().iter().map(move |(method, operation)| Operation {
            name: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase(),
            path: format!(
                "/api/v1{}",
                path.replace("{id}", "1000").replace("{version}", "1000").replace("{name}", "1000")
            ),
        })
    });
    methods.collect()
}

fn rows(table: &str) -> Vec<(&str, Vec<bool>)> {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap(), words.map(|word| word == "+").collect())
        })
        .collect()
}

/// Asks with a body that nothing comes of, and returns whether it was for who asks.
fn may(app: &App, operation: &Operation, token: Option<&str>) -> bool {
    let json = ("content-type", "application/json");
    let (method, path, body) = (&operation.method, &operation.path, b"{\"unknown\": 1}");
    let answer = match token {
        None => app.ask_as_nobody(method, path, &[json], body),
        Some(token) => app.ask(method, path, &[json, ("authorization", &format!("Bearer {token}"))], body),
    };
    is_for_who_asks(operation, &answer)
}

fn is_for_who_asks(operation: &Operation, answer: &Answer) -> bool {
    assert!(answer.status < 500, "{} {}: {answer:?}", operation.method, operation.path);
    assert!(answer.status != 429, "{answer:?}");
    if answer.status == 401 {
        assert!(answer.header("www-authenticate").is_some(), "{answer:?}");
    }
    if answer.status >= 400 {
        answer.problem(answer.status);
    }
    !matches!(answer.status, 401 | 403)
}

#[test]
fn each_operation_is_for_those_of_the_table() {
    let data = Data::new();
    let roles = ["guest", "member", "admin", "owner"];
    let tokens: Vec<_> = roles.iter().map(|role| format!("hearth_{role:0>43}")).collect();
    for (role, token) in roles.iter().zip(&tokens) {
        data.add_person(role, token);
    }
    let app = Start::alone(&data).start();
    let table = rows(TABLE);
    let operations = operations(&app);
    assert_eq!(operations.len(), table.len());
    for operation in &operations {
        let found = table.iter().find(|(name, _)| *name == operation.name);
        let (_, expected) = found.unwrap_or_else(|| panic!("{} is not in the table", operation.name));
        let everybody = std::iter::once(None).chain(tokens.iter().map(|token| Some(&**token)));
        let outcome: Vec<_> = everybody.map(|token| may(&app, operation, token)).collect();
        assert_eq!(&outcome, expected, "{}", operation.name);
    }
    app.stop();
}

#[test]
fn the_document_says_which_operations_want_somebody() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let spec = app.get("/api/v1/openapi.json").json();
    let schemes = &spec["components"]["securitySchemes"];
    assert_eq!(schemes["token"]["scheme"], "bearer");
    assert_eq!(schemes["session"]["name"], SESSION);
    assert_eq!(schemes["session_https"]["name"], SESSION_HTTPS);
    let (table, scopes) = (rows(TABLE), rows(SCOPES));
    for methods in spec["paths"].as_object().unwrap().values() {
        for operation in methods.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            let (_, who) = table.iter().find(|(known, _)| *known == name).unwrap();
            let wanted = operation["security"].as_array().map_or(0, Vec::len);
            assert_eq!(wanted, if who[0] { 0 } else { 3 }, "{name}");
            if !who[0] {
                assert!(operation["responses"]["401"].is_object(), "{name}");
                // What every user and token may read is forbidden to nobody.
                let is_for_all = scopes.iter().any(|(known, may)| *known == name && may[0]) && who[1];
                assert_eq!(operation["responses"]["403"].is_object(), !is_for_all, "{name}");
            }
        }
    }
    app.stop();
}

#[test]
fn a_token_may_what_its_scope_says() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let tokens: Vec<_> = ["read", "write", "admin"]
        .iter()
        .map(|scope| {
            let made = app.send("POST", "/api/v1/tokens", &json!({ "name": scope, "scope": scope })).json();
            made["secret"].as_str().unwrap().to_owned()
        })
        .collect();
    let table = rows(SCOPES);
    let anybody: Vec<_> = rows(TABLE).into_iter().filter(|(_, who)| who[0]).map(|(name, _)| name).collect();
    for operation in operations(&app).iter().filter(|operation| !anybody.contains(&&*operation.name)) {
        let expected = table.iter().find(|(name, _)| *name == operation.name);
        let expected = expected.map_or(vec![false, false, true], |(_, expected)| expected.clone());
        let with = |token: &String| {
            let headers = [("content-type", "application/json"), ("authorization", &format!("Bearer {token}"))];
            let answer = app.ask_as_nobody(&operation.method, &operation.path, &headers, b"{\"unknown\": 1}");
            is_for_who_asks(operation, &answer)
        };
        let outcome: Vec<_> = tokens.iter().map(with).collect();
        assert_eq!(outcome, expected, "{}", operation.name);
    }
    app.stop();
}

/// Each page, and the least role that sees it; `anybody` for all.
const PAGES: &str = "
anybody /sign-in /invitation/none /reset/none
guest   / /records/1000 /places /places/1000 /tags /account
member  /records/new /records/1000/edit /records/1000/history /records/1000/history/1000 /trash /sample /export
admin   /people /audit /status /import
";

#[test]
fn each_page_is_for_those_of_the_table_and_others_are_sent_to_sign_in() {
    let data = Data::new();
    let roles = ["guest", "member", "admin", "owner"];
    let tokens: Vec<_> = roles.iter().map(|role| format!("hearth_{role:0>43}")).collect();
    for (role, token) in roles.iter().zip(&tokens) {
        data.add_person(role, token);
    }
    let app = Start::alone(&data).start();
    let html = ("accept", "text/html");
    for line in PAGES.lines().filter(|line| !line.is_empty()) {
        let mut words = line.split_whitespace();
        let least = words.next().unwrap();
        for path in words {
            let nobody = app.ask_as_nobody("GET", path, &[html], b"");
            if least == "anybody" {
                assert!(matches!(nobody.status, 200 | 404), "{path}: {nobody:?}");
                continue;
            }
            assert_eq!(nobody.status, 303, "{path}: {nobody:?}");
            assert!(nobody.header("location").unwrap().starts_with("/sign-in"), "{nobody:?}");
            for (index, token) in tokens.iter().enumerate() {
                let bearer = format!("Bearer {token}");
                let answer = app.ask("GET", path, &[html, ("authorization", &bearer)], b"");
                let may = index >= roles.iter().position(|role| *role == least).unwrap();
                let allowed = matches!(answer.status, 200 | 404);
                assert_eq!(allowed, may, "{path} as {}: {}", roles[index], answer.status);
                assert!(allowed || answer.status == 403);
            }
        }
    }
    app.stop();
}

#[test]
fn an_admin_cannot_rise_nor_touch_who_is_above() {
    let data = Data::new();
    let admin = "hearth_admin";
    let admin_id = data.add_person("admin", admin);
    let other = data.add_person("admin", "hearth_other");
    let member = data.add_person("member", "hearth_member");
    let app = Start::alone(&data).start();
    let user = |id: i64| format!("/api/v1/users/{id}");
    let refused = |path: &str, body: Value| {
        let method = if path.ends_with("/reset") || path.ends_with("/invitations") { "POST" } else { "PATCH" };
        app.send_as(admin, method, path, &body).problem(403);
    };
    refused(&user(admin_id), json!({ "role": "owner" }));
    refused(&user(admin_id), json!({ "disabled": true }));
    refused(&user(other), json!({ "disabled": true }));
    refused(&user(1), json!({ "disabled": true }));
    refused(&user(1), json!({ "role": "member" }));
    refused(&user(1), json!({ "tailscale_login": "admin@example.org" }));
    refused(&user(member), json!({ "tailscale_login": "admin@example.org" }));
    refused(&user(member), json!({ "role": "admin" }));
    refused(&user(member), json!({ "role": "owner" }));
    refused(&format!("{}/reset", user(1)), json!({}));
    refused(&format!("{}/reset", user(other)), json!({}));
    refused("/api/v1/invitations", json!({ "role": "admin" }));
    assert_eq!(app.send_as(admin, "PATCH", &user(member), &json!({ "role": "guest" })).status, 200);
    assert_eq!(app.send_as(admin, "POST", &format!("{}/reset", user(member)), &json!({})).status, 201);
    // There is always an owner.
    app.send("PATCH", &user(1), &json!({ "role": "admin" })).problem(403);
    let second = app.send("PATCH", &user(other), &json!({ "role": "owner" }));
    assert_eq!(second.json()["role"], "owner", "{second:?}");
    assert_eq!(app.send_as("hearth_other", "PATCH", &user(1), &json!({ "role": "admin" })).status, 200);
    app.send("PATCH", &user(other), &json!({ "role": "admin" })).problem(403);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user WHERE role = 'owner'"), 1);
}

#[test]
fn who_is_disabled_is_out_at_once() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = super::browser::join(&app, "member", "anna@example.org");
    let token = browser.post(&app, "/api/v1/tokens", &json!({ "name": "t", "scope": "read" })).json();
    let token = token["secret"].as_str().unwrap().to_owned();
    assert_eq!(app.get_as(&token, "/api/v1/records").status, 200);
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &json!({ "disabled": true })).status, 200);
    app.get_as(&token, "/api/v1/records").problem(401);
    browser.get(&app, "/api/v1/session").problem(401);
    let (_, answer) = super::browser::sign_in(&app, "anna@example.org", super::browser::PASSWORD);
    assert_eq!(answer.problem(401)["detail"], "The e-mail or the password is wrong.");
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &json!({ "disabled": false })).status, 200);
    // The token is good again, the session is not.
    assert_eq!(app.get_as(&token, "/api/v1/records").status, 200);
    browser.get(&app, "/api/v1/session").problem(401);
    app.stop();
}
