//! Sign-ins at a provider that is good, and at one that is not.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::{
    provider::{CLIENT, Provider, SECRET, Signs},
    *,
};
use crate::{config::Join, secret::Secret};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn oidc(issuer: &str) -> Oidc {
    let settings = OidcSettings {
        issuer: issuer.to_owned(),
        client_id: CLIENT.to_owned(),
        client_secret: Some(Secret::from(SECRET.to_owned())),
        name: "Pocket ID".to_owned(),
        join: Join::Refuse,
    };
    Oidc::new(settings, &"https://hearth.example.org".parse().unwrap())
}

fn back<'a>(code: &'a str, state: &'a str) -> Callback<'a> {
    Callback { state: Some(state), code: Some(code), error: None }
}

async fn sign_in(oidc: &Oidc, provider: &Provider) -> Result<OidcIdentity, OidcError> {
    let begun = oidc.begin(HERE, "/records/7").await?;
    let (code, state) = provider.visit(&begun.redirect);
    assert!(!begun.redirect.contains("records"), "{}", begun.redirect);
    let finished = oidc.finish(&begun.pending, back(&code, &state)).await?;
    assert_eq!(finished.next, "/records/7");
    Ok(finished.identity)
}

fn set(key: &'static str, value: Value) -> Box<dyn Fn(&mut Value) + Send> {
    Box::new(move |document| match &value {
        Value::Null => drop(document.as_object_mut().unwrap().remove(key)),
        value => document[key] = value.clone(),
    })
}

#[tokio::test]
async fn somebody_signs_in_and_the_provider_is_asked_for_itself_once() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    for _ in 0..2 {
        assert_eq!(
            sign_in(&oidc, &provider).await,
            Ok(OidcIdentity {
                issuer: provider.issuer().to_owned(),
                subject: "alice-1".to_owned(),
                email: Some("alice@example.org".to_owned()),
                email_verified: true,
                name: Some("Alice".to_owned()),
            })
        );
    }
    let ways = provider.ways();
    assert_eq!(ways.asked, ["/.well-known/openid-configuration", "/jwks", "/token", "/token"]);
    let (form, authorization) = &ways.posted[0];
    // RFC 6749, 2.3.1: encoded as in a form, and then as Basic has it.
    use data_encoding::BASE64;
    let basic = BASE64.encode("hearth:a+secret%3A+with+%2B+and+%25".as_ref());
    assert_eq!(authorization.as_deref(), Some(&*format!("Basic {basic}")));
    assert!(!form.contains_key("client_secret"));
    assert_eq!(form["redirect_uri"], "https://hearth.example.org/sign-in/oidc/callback");
}

#[tokio::test]
async fn a_provider_that_wants_the_secret_in_the_body_gets_it_there() {
    let provider = Provider::start();
    provider.ways().metadata = set("token_endpoint_auth_methods_supported", json!(["client_secret_post"]));
    sign_in(&oidc(provider.issuer()), &provider).await.unwrap();
    let ways = provider.ways();
    assert_eq!((ways.posted[0].1.as_deref(), &*ways.posted[0].0["client_secret"]), (None, SECRET));
}

#[tokio::test]
async fn an_address_is_verified_only_where_the_provider_says_so() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    for (said, verified) in [
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (Value::Null, false),
    ] {
        provider.ways().claims = set("email_verified", said.clone());
        let identity = sign_in(&oidc, &provider).await.unwrap();
        assert_eq!(
            (identity.email_verified, identity.email.as_deref()),
            (verified, Some("alice@example.org")),
            "{said}"
        );
    }
    for said in [json!("yes"), json!(1), json!([true])] {
        provider.ways().claims = set("email_verified", said.clone());
        assert!(matches!(sign_in(&oidc, &provider).await, Err(OidcError::Provider { .. })), "{said}");
    }
    for address in [json!("nobody"), json!(""), json!("a@b\r\nc"), json!(format!("{}@example.org", "a".repeat(300)))] {
        provider.ways().claims = set("email", address.clone());
        let identity = sign_in(&oidc, &provider).await.unwrap();
        assert_eq!((identity.email_verified, identity.email), (false, None), "{address}");
    }
}

#[tokio::test]
async fn what_the_token_leaves_out_is_asked_for_and_is_about_the_same_person() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    provider.ways().claims = Box::new(|claims| {
        for key in ["email", "name"] {
            claims.as_object_mut().unwrap().remove(key);
        }
    });
    let identity = sign_in(&oidc, &provider).await.unwrap();
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("info@example.org"), true));
    assert_eq!(identity.name.as_deref(), Some("Info"));

    // The claim in the token was about no address.
    provider.ways().info = json!({ "sub": "alice-1", "email": "info@example.org" });
    let identity = sign_in(&oidc, &provider).await.unwrap();
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("info@example.org"), false));

    provider.ways().info = json!({ "sub": "mallory", "email": "alice@example.org", "email_verified": true });
    assert!(matches!(sign_in(&oidc, &provider).await, Err(OidcError::Provider { .. })));

    provider.ways().access_token = "not\na header".to_owned();
    assert!(matches!(sign_in(&oidc, &provider).await, Err(OidcError::Provider { .. })));

    provider.ways().metadata = set("userinfo_endpoint", Value::Null);
    let identity = sign_in(&self::oidc(provider.issuer()), &provider).await.unwrap();
    assert_eq!((identity.email, identity.email_verified, identity.name), (None, false, None));
}

#[tokio::test]
async fn a_token_that_is_not_the_providers_for_this_sign_in_is_not_believed() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    for (key, value, words) in [
        ("nonce", json!("another"), "it belongs to another sign-in"),
        ("nonce", Value::Null, "it belongs to another sign-in"),
        ("aud", json!("another"), "it is meant for another program"),
        ("aud", json!([]), "it is meant for another program"),
        ("aud", Value::Null, "it is meant for another program"),
        ("aud", json!([CLIENT, "another"]), "it is meant for another program"),
        ("iss", json!("https://id.example.org"), "it is another provider's"),
        ("iss", json!(format!("{}/", provider.issuer())), "it is another provider's"),
        ("exp", json!(1_700_000_000), "it has expired, or a clock is wrong, here or there"),
        ("sub", json!(""), "it names nobody"),
    ] {
        provider.ways().claims = set(key, value.clone());
        assert_eq!(sign_in(&oidc, &provider).await, Err(OidcError::Unbelievable(words.to_owned())), "{key} {value}");
    }
    for (key, value) in [("exp", Value::Null), ("sub", Value::Null), ("iat", Value::Null), ("sub", json!(7))] {
        provider.ways().claims = set(key, value.clone());
        assert!(sign_in(&oidc, &provider).await.is_err(), "{key} {value}");
    }
    provider.ways().claims = Box::new(|_| {});
    let unsupported = "it is not signed in a way that is believed (RS256, ES256 or EdDSA)";
    for (signs, words) in [
        (Signs::None, "it is not signed"),
        (Signs::Hs256, unsupported),
        (Signs::StolenName, "its signature is wrong"),
        (Signs::Wrongly, "its signature is wrong"),
    ] {
        provider.ways().signs = signs;
        assert_eq!(sign_in(&oidc, &provider).await, Err(OidcError::Unbelievable(words.to_owned())));
    }
    provider.ways().signs = Signs::Es256;
    sign_in(&oidc, &provider).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_is_finished_once_and_by_the_browser_that_began_it() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    let begin = async || {
        let begun = oidc.begin(HERE, "/").await.unwrap();
        let (code, state) = provider.visit(&begun.redirect);
        (begun.pending, code, state)
    };
    let (pending, code, state) = begin().await;
    oidc.finish(&pending, back(&code, &state)).await.unwrap();
    assert_eq!(oidc.finish(&pending, back(&code, &state)).await, Err(OidcError::Stale));

    // A page that plants its own code and state in another's browser.
    let (pending, ..) = begin().await;
    let (_, code, state) = begin().await;
    assert_eq!(oidc.finish(&pending, back(&code, &state)).await, Err(OidcError::Stale));
    assert_eq!(oidc.finish("", back(&code, &state)).await, Err(OidcError::Stale));

    // A wrong try is the only one.
    let (pending, code, state) = begin().await;
    assert_eq!(oidc.finish(&pending, back(&code, "")).await, Err(OidcError::Stale));
    assert_eq!(oidc.finish(&pending, back(&code, &state)).await, Err(OidcError::Stale));
    assert_eq!(provider.ways().posted.len(), 1);

    // Another's code is nothing without the verifier.
    let (_, stolen, _) = begin().await;
    let (pending, _, state) = begin().await;
    let refused = oidc.finish(&pending, back(&stolen, &state)).await.unwrap_err();
    assert!(refused.to_string().contains("does not take the code (invalid_grant: no  such)"), "{refused}");

    let (pending, _, state) = begin().await;
    let refused = Callback { state: Some(&state), code: None, error: Some("access_denied") };
    assert_eq!(oidc.finish(&pending, refused).await, Err(OidcError::BrokenOff("access_denied".to_owned())));
    let (pending, _, state) = begin().await;
    let empty = Callback { state: Some(&state), ..Callback::default() };
    assert_eq!(oidc.finish(&pending, empty).await, Err(OidcError::Stale));
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_told_in_a_sentence() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    for (status, body, words) in [
        (401, r#"{"error":"invalid_client"}"#, "does not take the code (invalid_client); if that happens each time"),
        (500, "", "gives no tokens"),
        (302, "{}", "gives tokens that cannot be read"),
        (200, "<html>", "gives tokens that cannot be read"),
        (200, r#"{"access_token":"a","token_type":"Bearer","id_token":"a.b.c"}"#, "gives tokens that cannot be read"),
    ] {
        provider.ways().token_answer = Some((status, body.to_owned()));
        let failure = sign_in(&oidc, &provider).await.unwrap_err().to_string();
        assert!(failure.starts_with(&format!("The provider {} {words}", provider.issuer())), "{failure}");
        assert!(!failure.contains(SECRET) && failure.ends_with('.'), "{failure}");
    }
    provider.ways().token_answer = Some((200, r#"{"access_token":"a","token_type":"Bearer"}"#.to_owned()));
    let failure = sign_in(&oidc, &provider).await.unwrap_err().to_string();
    assert_eq!(failure, "What the provider says cannot be believed: there is no ID token.");
    provider.ways().token_answer = Some((200, " ".repeat(1 << 20)));
    let failure = sign_in(&oidc, &provider).await.unwrap_err().to_string();
    assert!(failure.ends_with("answers without an end."), "{failure}");
    assert!(!provider.ways().asked.iter().any(|path| path == "/elsewhere"));
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_fetched_when_it_is_used() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    sign_in(&oidc, &provider).await.unwrap();
    provider.ways().key = 1;
    let unknown = "it is signed with a key that is not the provider's".to_owned();
    // A moment after its keys were fetched it is not asked again, whoever claims to have a new one.
    assert_eq!(sign_in(&oidc, &provider).await, Err(OidcError::Unbelievable(unknown)));
    oidc.learnt.lock().await.as_mut().unwrap().at -= FRESH;
    sign_in(&oidc, &provider).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_none_is_told_and_tried_again() {
    let provider = Provider::start();
    let begin =
        async |oidc: &Oidc| oidc.begin(HERE, "/").await.err().map(|error| error.to_string()).unwrap_or_default();
    for (key, value, words) in [
        ("issuer", json!("https://id.example.org"), "goes by another name"),
        ("issuer", json!(format!("{}/", provider.issuer())), "auth.oidc_issuer must be that, to the last slash"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "sends browsers to an address that cannot be used"),
        ("authorization_endpoint", json!("http://id.example.org/"), "sends browsers to an address that cannot be used"),
        ("jwks_uri", json!("http://192.0.2.1/jwks"), "names an address without TLS, which is not asked"),
        ("jwks_uri", json!(format!("{}/nothing", provider.issuer())), "404"),
        ("token_endpoint", Value::Null, "names no token endpoint"),
        ("response_types_supported", Value::Null, "does not say how to sign in by it"),
    ] {
        provider.ways().metadata = set(key, value.clone());
        let failure = begin(&oidc(provider.issuer())).await;
        assert!(failure.contains(words), "{key} {value} {failure}");
    }
    let oidc = oidc(provider.issuer());
    assert!(!begin(&oidc).await.is_empty());
    provider.ways().metadata = Box::new(|_| {});
    let asked = provider.ways().asked.len();
    assert!(!begin(&oidc).await.is_empty());
    assert_eq!(provider.ways().asked.len(), asked, "asked again at once");
    oidc.learnt.lock().await.as_mut().unwrap().at -= PAUSE;
    assert_eq!(begin(&oidc).await, "");
    // And after an hour.
    oidc.learnt.lock().await.as_mut().unwrap().at -= KEPT;
    assert_eq!(begin(&oidc).await, "");
    assert_eq!(provider.ways().asked.len(), asked + 4);
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failure = oidc(&format!("http://{unused}")).begin(HERE, "/").await.err().unwrap().to_string();
    assert!(
        failure.starts_with(&format!("The provider http://{unused} cannot be reached (Connection refused")),
        "{failure}"
    );
}
