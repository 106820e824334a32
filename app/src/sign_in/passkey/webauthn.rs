//! How does somebody register a passkey and sign in with it?
//!
//! WebAuthn by the crate webauthn-rs. A passkey is both factors at once, since the device checks the person (PIN,
//! fingerprint, face) before it signs: user verification is required both times. It is made *discoverable*, so
//! nobody is asked for a name when signing in, and nobody learns from the question which names there are. Passkeys
//! belong to the name in `http.public_url`: under another name a browser does not offer them.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder, WebauthnError,
};

use crate::sign_in::pending_challenges::PendingChallenges;

/// As long as a browser is told to wait for the person (WebAuthn, section 15.1: five minutes).
const WITHIN: Duration = Duration::from_secs(300);

/// Registers passkeys and signs in with them.
#[derive(Debug)]
pub(crate) struct Passkeys {
    webauthn: Webauthn,
    registrations: PendingChallenges<i64, PasskeyRegistration>,
    sign_ins: PendingChallenges<IpAddr, DiscoverableAuthentication>,
}

/// A passkey that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewPasskey {
    /// What it is found by, in base64url.
    pub(crate) credential_id: String,
    /// What it is checked with: JSON to be kept as it is.
    pub(crate) credential: String,
}

/// A passkey that somebody signed in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// Which one.
    pub(crate) credential_id: String,
    /// What is to be kept from now on, when it changed: a counter, or that it is in somebody's cloud now.
    pub(crate) updated: Option<String>,
}

/// Why a passkey was not registered or let nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasskeyError {
    /// There is no such ceremony, or not any more.
    #[error("This request has expired or was already used. Start again.")]
    Over,
    /// What the browser sent is not what browsers send.
    #[error("The browser's response could not be read.")]
    Unreadable,
    /// The device did not check the person.
    #[error("The device did not verify you. Set up a PIN, a fingerprint or face recognition on it first.")]
    NotVerified,
    /// It was made under another address.
    #[error("Passkeys only work at the address in http.public_url. The browser is at another address.")]
    WrongAddress,
    /// It is registered already.
    #[error("This device or password manager already has a passkey for this account.")]
    Registered,
    /// Nobody has it.
    #[error("This passkey is not registered here. Sign in another way and add it again.")]
    Unknown,
    /// Its counter went backwards.
    #[error("This security key seems to have been copied. Sign in another way and delete it from your account.")]
    Copied,
    /// The signature or something in it is wrong.
    #[error("The passkey could not be verified.")]
    Refused,
}

impl Passkeys {
    /// Returns what passkeys need, nothing when there is no `http.public_url`, or what is wrong with it.
    pub(crate) fn new(public_url: Option<&str>) -> Result<Option<Self>, String> {
        let Some(text) = public_url else { return Ok(None) };
        let url = Url::parse(text).map_err(|error| format!("http.public_url is not an address ({text}: {error})"))?;
        let Some(name) = url.domain() else {
            return Err(format!(
                "http.public_url must have a name, not a number, since passkeys belong to a name ({text})"
            ));
        };
        let local = name == "localhost" || name.ends_with(".localhost");
        if url.scheme() != "https" && !(url.scheme() == "http" && local) {
            return Err(format!(
                "http.public_url must begin with https:// (or be http://localhost), since browsers allow passkeys \
                 nowhere else ({text})"
            ));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(format!("http.public_url must end after the name and the port ({text})"));
        }
        let webauthn = WebauthnBuilder::new(name, &url)
            .and_then(|builder| builder.rp_name("Hearth").build())
            .map_err(|error| format!("http.public_url cannot be used for passkeys ({text}: {error})"))?;
        Ok(Some(Self {
            webauthn,
            registrations: PendingChallenges::new(WITHIN),
            sign_ins: PendingChallenges::new(WITHIN),
        }))
    }

    /// Begins a registration for a signed-in user: returns the ceremony's id and what the browser's
    /// `navigator.credentials.create` is given. `existing` are the passkeys that the user has.
    pub(crate) fn begin_registration(
        &self,
        user_id: i64,
        since: &str,
        name: &str,
        display_name: &str,
        existing: &[String],
    ) -> Result<(String, Value), PasskeyError> {
        let known: Vec<CredentialID> =
            existing.iter().filter_map(|text| read(text)).map(|passkey| passkey.cred_id().clone()).collect();
        let (question, state) = self
            .webauthn
            .start_passkey_registration(handle(user_id, since), name, display_name, Some(known))
            .map_err(refused)?;
        let mut options = serde_json::to_value(question).map_err(|_| PasskeyError::Refused)?;
        // The crate leaves it to the device whether a passkey can be discovered; who is not asked for a name needs it.
        if let Some(selection) = options.pointer_mut("/publicKey/authenticatorSelection") {
            selection["residentKey"] = json!("required");
            selection["requireResidentKey"] = json!(true);
        }
        Ok((self.registrations.begin(Instant::now(), user_id, state), options))
    }

    /// Ends a registration that this same user began.
    pub(crate) fn finish_registration(
        &self,
        ceremony: &str,
        user_id: i64,
        credential: Value,
    ) -> Result<NewPasskey, PasskeyError> {
        let state = match self.registrations.end(Instant::now(), ceremony) {
            Some((owner, state)) if owner == user_id => state,
            _ => return Err(PasskeyError::Over),
        };
        let answer: RegisterPublicKeyCredential =
            serde_json::from_value(credential).map_err(|_| PasskeyError::Unreadable)?;
        let passkey = self.webauthn.finish_passkey_registration(&answer, &state).map_err(refused)?;
        Ok(NewPasskey { credential_id: id_of(&passkey), credential: written(&passkey)? })
    }

    /// Begins a sign-in from an address: returns the ceremony's id and what `navigator.credentials.get` is given. It
    /// names nobody and no passkey.
    pub(crate) fn begin_sign_in(&self, address: IpAddr) -> Result<(String, Value), PasskeyError> {
        let (question, state) = self.webauthn.start_discoverable_authentication().map_err(refused)?;
        let mut options = serde_json::to_value(question).map_err(|_| PasskeyError::Refused)?;
        // The crate means it for a list under a field; here a button asks.
        if let Some(options) = options.as_object_mut() {
            options.remove("mediation");
        }
        Ok((self.sign_ins.begin(Instant::now(), address, state), options))
    }

    /// Ends a sign-in. `stored` are the passkeys of the user whom [`identify`] found.
    pub(crate) fn finish_sign_in(
        &self,
        ceremony: &str,
        credential: Value,
        stored: &[String],
    ) -> Result<Used, PasskeyError> {
        let (_, state) = self.sign_ins.end(Instant::now(), ceremony).ok_or(PasskeyError::Over)?;
        let answer: PublicKeyCredential = serde_json::from_value(credential).map_err(|_| PasskeyError::Unreadable)?;
        let mut passkey = stored
            .iter()
            .filter_map(|text| read(text))
            .find(|passkey| passkey.cred_id().as_slice() == answer.get_credential_id())
            .ok_or(PasskeyError::Unknown)?;
        let result = self.webauthn.finish_discoverable_authentication_v2(&answer, state, &passkey).map_err(refused)?;
        if !result.user_verified() {
            return Err(PasskeyError::NotVerified);
        }
        let changed = passkey.update_credential(&result) == Some(true);
        Ok(Used { credential_id: id_of(&passkey), updated: changed.then(|| written(&passkey)).transpose()? })
    }
}

/// Returns whose passkey a browser's answer says that it is, and which: not believed until
/// [`Passkeys::finish_sign_in`] has checked it with what is kept for this user and this id.
pub(crate) fn identify(credential: &Value) -> Option<(i64, String)> {
    let text = |pointer| BASE64URL_NOPAD.decode(credential.pointer(pointer)?.as_str()?.as_bytes()).ok();
    let (_, low) = Uuid::from_slice(&text("/response/userHandle")?).ok()?.as_u64_pair();
    Some((i64::from_be_bytes(low.to_be_bytes()), BASE64URL_NOPAD.encode(text("/rawId")?.as_ref())))
}

/// Returns the handle that a device keeps for a user: it says nothing about the person. Its first half is made of when
/// they came (`since`): a device keeps one passkey for a name and a handle, and another Hearth of the same name, at
/// another port or set up anew, has a user with the same number.
fn handle(user_id: i64, since: &str) -> Uuid {
    let hash = Sha256::digest(since.as_bytes());
    let first = hash.iter().take(8).fold(0_u64, |half, byte| half << 8 | u64::from(*byte));
    Uuid::from_u64_pair(first, u64::from_be_bytes(user_id.to_be_bytes()))
}

fn id_of(passkey: &Passkey) -> String {
    BASE64URL_NOPAD.encode(passkey.cred_id().as_ref())
}

fn written(passkey: &Passkey) -> Result<String, PasskeyError> {
    serde_json::to_string(passkey).map_err(|error| {
        tracing::error!("A passkey cannot be written as JSON: {error}");
        PasskeyError::Refused
    })
}

fn read(text: &str) -> Option<Passkey> {
    let passkey = serde_json::from_str(text);
    if let Err(error) = &passkey {
        tracing::error!("A passkey in the database cannot be read. Its owner must register it again: {error}");
    }
    passkey.ok()
}

fn refused(error: WebauthnError) -> PasskeyError {
    match error {
        WebauthnError::UserNotVerified | WebauthnError::UserNotPresent => PasskeyError::NotVerified,
        WebauthnError::InvalidRPOrigin | WebauthnError::InvalidRPIDHash | WebauthnError::CredentialCrossOrigin => {
            PasskeyError::WrongAddress
        }
        WebauthnError::CredentialAlreadyExists | WebauthnError::CredentialExcludedFromRequest => {
            PasskeyError::Registered
        }
        WebauthnError::CredentialNotFound => PasskeyError::Unknown,
        WebauthnError::CredentialPossibleCompromise => PasskeyError::Copied,
        other => {
            tracing::info!("A passkey was refused: {other}");
            PasskeyError::Refused
        }
    }
}

#[cfg(test)]
mod tests;
