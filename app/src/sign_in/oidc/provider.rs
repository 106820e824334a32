//! A stand-in for a provider: discovery, keys, tokens and user info over HTTP, good unless a test wants it otherwise.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use data_encoding::BASE64URL_NOPAD;
use ring::{
    digest, hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use url::Url;

pub(super) const CLIENT: &str = "hearth";
pub(super) const SECRET: &str = "a secret: with + and %";

/// How it signs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Signs {
    Es256,
    /// With a key of its own making, that it does not publish.
    StolenName,
    /// With the client's secret.
    Hs256,
    /// Not at all.
    None,
    /// Some other way than its head says.
    Wrongly,
}

type Change = Box<dyn Fn(&mut Value) + Send>;

/// What a test can make different.
pub(super) struct Behaviour {
    pub(super) signs: Signs,
    /// What becomes of the ID token's claims.
    pub(super) claims: Change,
    /// What becomes of what it says of itself.
    pub(super) metadata: Change,
    /// What its user info says.
    pub(super) info: Value,
    /// Another answer of the token endpoint.
    pub(super) token_answer: Option<(u16, String)>,
    pub(super) access_token: String,
    /// The key's name; another name is another key.
    pub(super) key: u32,
    /// Which of the two keys it publishes, and whether the key and the tokens name it.
    pub(super) published: usize,
    pub(super) named: bool,
    /// Paths that were asked for.
    pub(super) asked: Vec<String>,
    /// What was posted to the token endpoint, and its header Authorization.
    pub(super) posted: Vec<(HashMap<String, String>, Option<String>)>,
    codes: HashMap<String, (String, String)>,
}

pub(super) struct Provider {
    shared: Arc<Shared>,
}

struct Shared {
    issuer: String,
    keys: [EcdsaKeyPair; 2],
    ways: Mutex<Behaviour>,
}

impl Provider {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ways = Behaviour {
            signs: Signs::Es256,
            claims: Box::new(|_| {}),
            metadata: Box::new(|_| {}),
            info: json!({ "sub": "alice-1", "email": "info@example.org", "email_verified": true, "name": "Info" }),
            token_answer: None,
            access_token: "an-access-token".to_owned(),
            key: 0,
            published: 0,
            named: true,
            asked: Vec::new(),
            posted: Vec::new(),
            codes: HashMap::new(),
        };
        let shared = Arc::new(Shared {
            issuer: format!("http://{address}"),
            keys: [new_key(), new_key()],
            ways: Mutex::new(ways),
        });
        let provider = Self { shared: shared.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || shared.answer(stream));
            }
        });
        provider
    }

    pub(super) fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    pub(super) fn ways(&self) -> MutexGuard<'_, Behaviour> {
        self.shared.ways.lock().unwrap()
    }

    /// Does what somebody in a browser does: goes there, signs in, and returns with a code and a state.
    pub(super) fn visit(&self, redirect: &str) -> (String, String) {
        let url = Url::parse(redirect).unwrap();
        assert_eq!(url.path(), "/authorize");
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["client_id"], CLIENT);
        assert_eq!(query["redirect_uri"], "https://hearth.example.org/sign-in/oidc/callback");
        assert_eq!(query["scope"], "openid email profile");
        assert_eq!(query["code_challenge_method"], "S256");
        let mut ways = self.ways();
        let code = format!("code-{}", ways.codes.len());
        ways.codes.insert(code.clone(), (query["nonce"].clone(), query["code_challenge"].clone()));
        (code, query["state"].clone())
    }
}

impl Shared {
    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            match reader.read_line(&mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) if line == "\r\n" => break,
                Ok(_) => head.push(line.trim_end().to_owned()),
            }
        }
        let header = |name: &str| {
            head.iter().find_map(|line| {
                line.split_once(": ")
                    .filter(|(found, _)| found.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.to_owned())
            })
        };
        let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let path = head[0].split(' ').nth(1).unwrap().to_owned();
        let mut ways = self.ways.lock().unwrap();
        ways.asked.push(path.clone());
        let (status, text) = match &*path {
            "/.well-known/openid-configuration" => (200, self.metadata(&ways)),
            "/jwks" => (200, self.published(&ways)),
            "/token" => {
                let form = url::form_urlencoded::parse(&body).into_owned().collect();
                ways.posted.push((form, header("authorization")));
                self.tokens(&ways)
            }
            "/userinfo" => {
                assert_eq!(header("authorization").unwrap(), format!("Bearer {}", ways.access_token));
                (200, ways.info.to_string())
            }
            _ => (404, "{}".to_owned()),
        };
        drop(ways);
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nlocation: /elsewhere\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{text}",
            text.len()
        );
    }

    fn metadata(&self, ways: &Behaviour) -> String {
        let issuer = &self.issuer;
        let mut metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
        });
        (ways.metadata)(&mut metadata);
        metadata.to_string()
    }

    fn published(&self, ways: &Behaviour) -> String {
        let point = self.keys[ways.published].public_key().as_ref();
        let mut keys = json!({ "keys": [
            { "kty": "oct", "kid": "other", "k": "c2VjcmV0" },
            {
                "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": format!("key-{}", ways.key),
                "x": BASE64URL_NOPAD.encode(&point[1..33]), "y": BASE64URL_NOPAD.encode(&point[33..]),
            },
        ] });
        if !ways.named {
            keys["keys"][1].as_object_mut().unwrap().remove("kid");
        }
        keys.to_string()
    }

    fn tokens(&self, ways: &Behaviour) -> (u16, String) {
        if let Some(answer) = &ways.token_answer {
            return answer.clone();
        }
        let (form, _) = ways.posted.last().unwrap();
        let refused = |why: &str| (400, json!({ "error": why, "error_description": "no\r\nsuch" }).to_string());
        let Some((nonce, challenge)) = ways.codes.get(&form["code"]) else { return refused("invalid_grant") };
        let hashed = digest::digest(&digest::SHA256, form["code_verifier"].as_bytes());
        if BASE64URL_NOPAD.encode(hashed.as_ref()) != *challenge || form["grant_type"] != "authorization_code" {
            return refused("invalid_grant");
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let mut claims = json!({
            "iss": self.issuer, "sub": "alice-1", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "alice@example.org", "email_verified": true, "name": "Alice",
        });
        (ways.claims)(&mut claims);
        let answer = json!({
            "access_token": ways.access_token, "token_type": "Bearer", "expires_in": 300,
            "id_token": self.signed(ways, &claims),
        });
        (200, answer.to_string())
    }

    fn signed(&self, ways: &Behaviour, claims: &Value) -> String {
        let algorithm = match ways.signs {
            Signs::Hs256 => "HS256",
            Signs::None => "none",
            _ => "ES256",
        };
        let mut head = json!({ "alg": algorithm, "typ": "JWT", "kid": format!("key-{}", ways.key) });
        if !ways.named {
            head.as_object_mut().unwrap().remove("kid");
        }
        let encode = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_ref());
        let text = format!("{}.{}", encode(&head), encode(claims));
        let by =
            |key: &EcdsaKeyPair, text: &str| key.sign(&SystemRandom::new(), text.as_bytes()).unwrap().as_ref().to_vec();
        let signature = match ways.signs {
            Signs::Es256 => by(&self.keys[0], &text),
            Signs::StolenName => by(&self.keys[1], &text),
            Signs::Hs256 => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes()).as_ref().to_vec()
            }
            Signs::None => Vec::new(),
            Signs::Wrongly => by(&self.keys[0], "another text"),
        };
        format!("{text}.{}", BASE64URL_NOPAD.encode(signature.as_ref()))
    }
}

fn new_key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}
