//! Is an ID token the provider's, for this sign-in, and what does it say?
//!
//! OpenID Connect Core, 3.1.3.7. The `openidconnect` crate reads every standard claim, and refuses a token for one that has
//! another type and that nobody needs (`acr`, `updated_at`); it refuses all further audiences, and knows no leeway for clocks.
//! So the claims are read here, and the crate checks the signature.

use data_encoding::BASE64URL_NOPAD;
use openidconnect::{
    JsonWebKey, Nonce, SignatureVerificationError,
    core::{CoreJsonWebKeySet, CoreJwsSigningAlgorithm},
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Signatures that are believed: those of a key that only the provider has. Never `none`, and never one by the client's
/// secret (HS256), which this end knows too.
const SIGNATURES: [CoreJwsSigningAlgorithm; 3] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// How far the provider's clock and this one may differ, in seconds.
const LEEWAY: f64 = 60.0;

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disbelief {
    /// It is no token.
    Unreadable(&'static str),
    /// No key of the provider made its signature, as far as its keys are known.
    Signature(&'static str),
    /// It is the provider's, and not for this sign-in.
    Claims(&'static str),
}

/// What is expected of a token.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a str,
    pub(super) nonce: &'a Nonce,
    /// Seconds since 1970.
    pub(super) now: f64,
}

/// The head of a token.
#[derive(Deserialize)]
struct Head {
    alg: Value,
    kid: Option<Value>,
    crit: Option<Value>,
}

/// What a token or the user info says; only what is asked for is read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// Reads the claims of a JSON document.
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok().map(Self)
    }

    /// Returns a text, where it is one.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim).and_then(Value::as_str)
    }

    /// Returns somebody's name, in whichever language there is one (`name#de`).
    pub(super) fn name(&self) -> Option<&str> {
        let any = || self.0.iter().find(|(claim, name)| claim.starts_with("name#") && name.is_string());
        self.text("name").or_else(|| any().and_then(|(_, name)| name.as_str()))
    }

    /// Returns whether the provider has seen that the address is theirs, if it says so; some say it as a text.
    pub(super) fn email_verified(&self) -> Result<Option<bool>, Disbelief> {
        match self.0.get("email_verified") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(verified)) => Ok(Some(*verified)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(Disbelief::Unreadable("email_verified is neither true nor false")),
        }
    }

    fn number(&self, claim: &str) -> Option<f64> {
        self.0.get(claim).and_then(Value::as_f64)
    }

    fn audiences(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::String(audience)) => vec![audience],
            Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Checks that they are this provider's, for this sign-in, and still good.
    fn check(self, expected: &Expected<'_>) -> Result<Self, Disbelief> {
        let wrong = |why| Err(Disbelief::Claims(why));
        let audiences = self.audiences();
        let is_party = match self.0.get("azp") {
            // Of several audiences one has asked for the token, and the token says which.
            None | Some(Value::Null) => audiences.len() == 1,
            Some(party) => party == expected.client,
        };
        if self.text("iss") != Some(expected.issuer) {
            return wrong("the ID token is from another provider");
        }
        if !audiences.contains(&expected.client) || !is_party {
            return wrong("the ID token is for another client");
        }
        let Some((end, made)) = self.number("exp").zip(self.number("iat")) else {
            return wrong("the ID token does not say when it was issued and when it expires");
        };
        let begins_later = |moment: f64| moment > expected.now + LEEWAY;
        if end + LEEWAY <= expected.now || begins_later(made) || self.number("nbf").is_some_and(begins_later) {
            return wrong("the ID token has expired, or the clock here or at the provider is wrong");
        }
        if self.text("nonce") != Some(expected.nonce.secret().as_str()) {
            return wrong("the ID token belongs to another sign-in");
        }
        // Core, 2: at most 255 characters.
        if self.text("sub").is_none_or(|subject| subject.is_empty() || subject.len() > 255) {
            return wrong("the ID token names no user");
        }
        Ok(self)
    }
}

/// Returns what a token says, once its signature, issuer, audience, nonce and time hold.
pub(super) fn check(token: &str, keys: &CoreJsonWebKeySet, expected: &Expected<'_>) -> Result<Claims, Disbelief> {
    let unreadable = || Disbelief::Unreadable("the ID token is not a JSON Web Token");
    let decoded = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| unreadable());
    let (signed, signature) = token.rsplit_once('.').ok_or_else(unreadable)?;
    let (head, payload) = signed.split_once('.').ok_or_else(unreadable)?;
    let head: Head = serde_json::from_slice(&decoded(head)?).map_err(|_| unreadable())?;
    let claims = Claims::read(&decoded(payload)?).ok_or_else(unreadable)?;
    check_signature(&head, signed, &decoded(signature)?, keys)?;
    claims.check(expected)
}

fn check_signature(head: &Head, signed: &str, signature: &[u8], keys: &CoreJsonWebKeySet) -> Result<(), Disbelief> {
    if head.alg == "none" {
        return Err(Disbelief::Claims("the ID token is not signed"));
    }
    let algorithm = SIGNATURES.into_iter().find(|known| serde_json::to_value(known).is_ok_and(|name| name == head.alg));
    let Some(algorithm) = algorithm.filter(|_| head.crit.is_none()) else {
        return Err(Disbelief::Claims("the ID token is not signed with RS256, ES256 or EdDSA"));
    };
    let mut why = "the ID token is signed with a key that is not the provider's";
    for key in keys.keys() {
        // A key without a name, or a token that names none, may belong together with any.
        let is_named = key.key_id().zip(head.kid.as_ref()).is_none_or(|(known, named)| named == known.as_str());
        if !is_named {
            continue;
        }
        match key.verify_signature(&algorithm, signed.as_bytes(), signature) {
            Ok(()) => return Ok(()),
            // Of another kind, or for something else.
            Err(SignatureVerificationError::InvalidKey(_)) => {}
            Err(_) => why = "the signature of the ID token is wrong",
        }
    }
    Err(Disbelief::Signature(why))
}
