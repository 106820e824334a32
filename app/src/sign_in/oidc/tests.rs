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
    let begun = oidc.begin(HERE, "/records/7", None).await?;
    let (code, state) = provider.visit(&begun.redirect);
    assert!(!begun.redirect.contains("records"), "{}", begun.redirect);
    let finished = oidc.finish(&begun.browser, back(&code, &state)).await?;
    assert_eq!(finished.next, "/records/7");
    match finished.trouble {
        Some(error) if finished.identity.email.is_none() => Err(error),
        _ => Ok(finished.identity),
    }
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
        ("nonce", json!("another"), "the ID token belongs to another sign-in"),
        ("nonce", Value::Null, "the ID token belongs to another sign-in"),
        ("aud", json!("another"), "the ID token is for another client"),
        ("aud", json!([]), "the ID token is for another client"),
        ("aud", Value::Null, "the ID token is for another client"),
        ("aud", json!([CLIENT, "another"]), "the ID token is for another client"),
        ("iss", json!("https://id.example.org"), "the ID token is from another provider"),
        ("iss", json!(format!("{}/", provider.issuer())), "the ID token is from another provider"),
        ("exp", json!(1_700_000_000), "the ID token has expired, or the clock here or at the provider is wrong"),
        ("sub", json!(""), "the ID token names no user"),
    ] {
        provider.ways().claims = set(key, value.clone());
        assert_eq!(sign_in(&oidc, &provider).await, Err(OidcError::Unbelievable(words.to_owned())), "{key} {value}");
    }
    for (key, value) in [("exp", Value::Null), ("sub", Value::Null), ("iat", Value::Null), ("sub", json!(7))] {
        provider.ways().claims = set(key, value.clone());
        assert!(sign_in(&oidc, &provider).await.is_err(), "{key} {value}");
    }
    provider.ways().claims = Box::new(|_| {});
    let unsupported = "the ID token is not signed with RS256, ES256 or EdDSA";
    for (signs, words) in [
        (Signs::None, "the ID token is not signed"),
        (Signs::Hs256, unsupported),
        (Signs::StolenName, "the signature of the ID token is wrong"),
        (Signs::Wrongly, "the signature of the ID token is wrong"),
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
        let begun = oidc.begin(HERE, "/", None).await.unwrap();
        let (code, state) = provider.visit(&begun.redirect);
        (begun.browser, code, state)
    };
    let (pending, code, state) = begin().await;
    oidc.finish(&pending, back(&code, &state)).await.unwrap();
    assert_eq!(oidc.finish(&pending, back(&code, &state)).await, Err(OidcError::Stale));

    // A page that plants its own code and state in another's browser.
    let (pending, ..) = begin().await;
    let (_, code, state) = begin().await;
    assert_eq!(oidc.finish(&pending, back(&code, &state)).await, Err(OidcError::Stale));
    assert_eq!(oidc.finish("", back(&code, &state)).await, Err(OidcError::Stale));

    // What anybody can send a browser to ends nothing.
    let (pending, code, state) = begin().await;
    for callback in [
        back(&code, ""),
        back("x", "x"),
        Callback { state: Some("x"), code: None, error: Some("access_denied") },
        Callback { state: Some(&state), ..Callback::default() },
        Callback::default(),
    ] {
        assert_eq!(oidc.finish(&pending, callback).await, Err(OidcError::Stale));
    }
    assert_eq!(oidc.finish("another browser", back(&code, &state)).await, Err(OidcError::Stale));
    assert_eq!(provider.ways().posted.len(), 1);
    oidc.finish(&pending, back(&code, &state)).await.unwrap();

    // Another's code is nothing without the verifier.
    let (_, stolen, _) = begin().await;
    let (pending, _, state) = begin().await;
    let refused = oidc.finish(&pending, back(&stolen, &state)).await.unwrap_err();
    assert!(refused.to_string().contains("rejects the code (invalid_grant: no  such)"), "{refused}");

    let (pending, _, state) = begin().await;
    let refused = Callback { state: Some(&state), code: None, error: Some("access_denied") };
    assert_eq!(oidc.finish(&pending, refused).await, Err(OidcError::BrokenOff("access_denied".to_owned())));
    let (pending, _, state) = begin().await;
    let empty = Callback { state: Some(&state), ..Callback::default() };
    assert_eq!(oidc.finish(&pending, empty).await, Err(OidcError::Stale));
}

#[tokio::test]
async fn each_tab_finishes_its_own_sign_in() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    let first = oidc.begin(HERE, "/first", None).await.unwrap();
    let second = oidc.begin(HERE, "/second", Some(&first.browser)).await.unwrap();
    assert_eq!(first.browser, second.browser);
    let ((code, state), (other_code, other_state)) =
        (provider.visit(&first.redirect), provider.visit(&second.redirect));
    let finished = oidc.finish(&first.browser, back(&code, &state)).await.unwrap();
    assert_eq!((&*finished.next, finished.others_wait), ("/first", true));
    let finished = oidc.finish(&first.browser, back(&other_code, &other_state)).await.unwrap();
    assert_eq!((&*finished.next, finished.others_wait), ("/second", false));
    // What nobody waits with any more, or somebody made up, is not taken over.
    let next = oidc.begin(HERE, "/", Some(&first.browser)).await.unwrap();
    assert_ne!(next.browser, first.browser);
}

#[tokio::test]
async fn claims_that_nobody_needs_may_be_anything_and_clocks_may_differ_by_a_minute() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (key, value) in [
        ("updated_at", json!("2026-05-01T10:00:00.000Z")),
        ("acr", json!(1)),
        ("amr", json!("pwd")),
        ("auth_time", json!("yesterday")),
        ("address", json!("a street")),
        ("gender", json!(7)),
        ("locale", json!("not a locale")),
        ("picture", json!({})),
        ("birthdate", json!(null)),
        ("at_hash", json!(["x"])),
        ("phone_number_verified", json!("perhaps")),
        ("exp", json!(now - 30)),
        ("iat", json!(now + 30)),
        ("nbf", json!(now + 30)),
        ("exp", json!(now as f64 + 200.5)),
        ("aud", json!([CLIENT])),
        ("azp", json!(CLIENT)),
    ] {
        provider.ways().claims = set(key, value.clone());
        let identity = sign_in(&oidc, &provider).await;
        assert_eq!(identity.map(|identity| identity.name), Ok(Some("Alice".to_owned())), "{key} {value}");
    }
    for (key, value) in [("exp", json!(now - 120)), ("iat", json!(now + 120)), ("nbf", json!(now + 120))] {
        provider.ways().claims = set(key, value.clone());
        assert!(sign_in(&oidc, &provider).await.is_err(), "{key} {value}");
    }
}

#[tokio::test]
async fn a_token_for_several_programs_says_which_one_asked_for_it() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    for (audience, party, is_good) in [
        (json!([CLIENT, "264077012140818435"]), json!(CLIENT), true),
        (json!(["264077012140818435", CLIENT, "another"]), json!(CLIENT), true),
        (json!(CLIENT), json!("another"), false),
        (json!([CLIENT, "another"]), json!("another"), false),
        (json!([CLIENT, "another"]), Value::Null, false),
        (json!("another"), json!(CLIENT), false),
        (json!(["another"]), json!(CLIENT), false),
        (json!(CLIENT), json!([CLIENT]), false),
    ] {
        let (aud, azp) = (audience.clone(), party.clone());
        provider.ways().claims = Box::new(move |claims| {
            claims["aud"] = aud.clone();
            if !azp.is_null() {
                claims["azp"] = azp.clone();
            }
        });
        assert_eq!(sign_in(&oidc, &provider).await.is_ok(), is_good, "{audience} {party}");
    }
}

#[tokio::test]
async fn whether_an_address_is_verified_may_stand_in_the_user_info_alone() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    provider.ways().claims = set("email_verified", Value::Null);
    for (info, verified) in [
        (json!({ "sub": "alice-1", "email": "alice@example.org", "email_verified": true }), true),
        (json!({ "sub": "alice-1", "email": "alice@example.org", "email_verified": "true", "updated_at": "x" }), true),
        (json!({ "sub": "alice-1", "email": "alice@example.org", "email_verified": false }), false),
        (json!({ "sub": "alice-1", "email": "alice@example.org" }), false),
        (json!({ "sub": "alice-1", "email": "other@example.org", "email_verified": true }), false),
        (json!({ "sub": "alice-1", "email_verified": true }), false),
    ] {
        provider.ways().info = info.clone();
        let identity = sign_in(&oidc, &provider).await.unwrap();
        assert_eq!(
            (identity.email.as_deref(), identity.email_verified),
            (Some("alice@example.org"), verified),
            "{info}"
        );
    }
    // Where it fails, what the token says is enough for whoever is linked.
    provider.ways().info = json!("none");
    let identity = sign_in(&oidc, &provider).await.unwrap();
    assert_eq!((identity.subject.as_str(), identity.email_verified), ("alice-1", false));
}

#[tokio::test]
async fn a_new_key_under_the_old_name_or_under_none_is_fetched() {
    let provider = Provider::start();
    for named in [true, false] {
        provider.ways().named = named;
        let oidc = oidc(provider.issuer());
        provider.ways().published = 0;
        sign_in(&oidc, &provider).await.unwrap();
        // The other key signs from now on, and is published.
        provider.ways().signs = Signs::StolenName;
        provider.ways().published = 1;
        let wrong = "the signature of the ID token is wrong".to_owned();
        assert_eq!(sign_in(&oidc, &provider).await, Err(OidcError::Unbelievable(wrong)));
        oidc.learnt.lock().await.as_mut().unwrap().at -= FRESH;
        sign_in(&oidc, &provider).await.unwrap();
        provider.ways().signs = Signs::Es256;
    }
}

#[tokio::test]
async fn a_token_endpoint_that_fails_is_told_in_a_sentence() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    for (status, body, words) in [
        (401, r#"{"error":"invalid_client"}"#, "rejects the code (invalid_client); if this happens every time"),
        (500, "", "returned no tokens"),
        (302, "{}", "returned tokens that cannot be read"),
        (200, "<html>", "returned tokens that cannot be read"),
        (
            200,
            r#"{"access_token":"a","token_type":"Bearer","id_token":"a.b.c"}"#,
            "returned tokens that cannot be read",
        ),
    ] {
        provider.ways().token_answer = Some((status, body.to_owned()));
        let failure = sign_in(&oidc, &provider).await.unwrap_err().to_string();
        assert!(failure.starts_with(&format!("The provider {} {words}", provider.issuer())), "{failure}");
        assert!(!failure.contains(SECRET) && failure.ends_with('.'), "{failure}");
    }
    provider.ways().token_answer = Some((200, r#"{"access_token":"a","token_type":"Bearer"}"#.to_owned()));
    let failure = sign_in(&oidc, &provider).await.unwrap_err().to_string();
    assert_eq!(failure, "The provider's response is not valid: there is no ID token.");
    provider.ways().token_answer = Some((200, " ".repeat(1 << 20)));
    let failure = sign_in(&oidc, &provider).await.unwrap_err().to_string();
    assert!(failure.ends_with("sends a response that is too large."), "{failure}");
    assert!(!provider.ways().asked.iter().any(|path| path == "/elsewhere"));
}

#[tokio::test]
async fn a_new_key_of_the_provider_is_fetched_when_it_is_used() {
    let provider = Provider::start();
    let oidc = oidc(provider.issuer());
    sign_in(&oidc, &provider).await.unwrap();
    provider.ways().key = 1;
    let unknown = "the ID token is signed with a key that is not the provider's".to_owned();
    // A moment after its keys were fetched it is not asked again, whoever claims to have a new one.
    assert_eq!(sign_in(&oidc, &provider).await, Err(OidcError::Unbelievable(unknown)));
    oidc.learnt.lock().await.as_mut().unwrap().at -= FRESH;
    sign_in(&oidc, &provider).await.unwrap();
}

#[tokio::test]
async fn a_provider_that_is_none_is_told_and_tried_again() {
    let provider = Provider::start();
    let begin =
        async |oidc: &Oidc| oidc.begin(HERE, "/", None).await.err().map(|error| error.to_string()).unwrap_or_default();
    for (key, value, words) in [
        ("issuer", json!("https://id.example.org"), "names another issuer URL"),
        ("issuer", json!(format!("{}/", provider.issuer())), "auth.oidc_issuer must match it exactly"),
        ("authorization_endpoint", json!("javascript:alert(1)"), "names an authorization endpoint that cannot be used"),
        (
            "authorization_endpoint",
            json!("http://id.example.org/"),
            "names an authorization endpoint that cannot be used",
        ),
        ("jwks_uri", json!("http://192.0.2.1/jwks"), "names an address without TLS, which is not allowed"),
        ("jwks_uri", json!(format!("{}/nothing", provider.issuer())), "404"),
        ("token_endpoint", Value::Null, "does not name a token endpoint"),
        ("response_types_supported", Value::Null, "does not describe how to sign in with it"),
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
    let failure = oidc(&format!("http://{unused}")).begin(HERE, "/", None).await.err().unwrap().to_string();
    assert!(
        failure.starts_with(&format!("The provider http://{unused} cannot be reached (Connection refused")),
        "{failure}"
    );
}
