//! Does Hearth take what a device signs, and nothing else?
//!
//! The device is a small one made here: one P-256 key, `none` attestation, and switches for what it may do wrong.

use std::net::Ipv4Addr;

use p256::ecdsa::{Signature, SigningKey, signature::Signer};
use sha2::{Digest, Sha256};

use super::*;
use crate::secret;

const URL: &str = "https://hearth.example.org:8443";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

struct Device {
    key: SigningKey,
    id: [u8; 16],
    handle: Vec<u8>,
    origin: &'static str,
    verifies: bool,
    counter: u32,
}

impl Device {
    fn new() -> Self {
        let key = SigningKey::from_slice(&secret::random::<32>()).unwrap();
        Self { key, id: secret::random(), handle: Vec::new(), origin: URL, verifies: true, counter: 0 }
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let challenge = &options["publicKey"]["challenge"];
        json!({ "type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { 0x04 } else { 0 };
        let mut data = Sha256::digest(b"hearth.example.org").to_vec();
        data.push(flags | 0x01 | verified);
        data.extend(self.counter.to_be_bytes());
        data
    }

    /// What `navigator.credentials.create` gives.
    fn create(&mut self, options: &Value) -> Value {
        self.handle = BASE64URL_NOPAD.decode(options["publicKey"]["user"]["id"].as_str().unwrap().as_bytes()).unwrap();
        let point = self.key.verifying_key().to_sec1_point(false);
        let mut data = self.authenticator_data(0x40);
        data.extend([0; 16]);
        data.extend([0, 16]);
        data.extend(self.id);
        // A COSE key in CBOR: EC2, ES256, P-256, x, y.
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 32]);
        data.extend(&point.as_bytes()[1..33]);
        data.extend([0x22, 0x58, 32]);
        data.extend(&point.as_bytes()[33..]);
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).unwrap());
        object.extend(data);
        json!({
            "id": BASE64URL_NOPAD.encode(self.id.as_ref()), "rawId": BASE64URL_NOPAD.encode(self.id.as_ref()), "type": "public-key",
            "response": {
                "clientDataJSON": BASE64URL_NOPAD.encode(self.client_data("webauthn.create", options).as_ref()),
                "attestationObject": BASE64URL_NOPAD.encode(object.as_ref()),
            },
            "clientExtensionResults": {},
        })
    }

    /// What `navigator.credentials.get` gives.
    fn get(&mut self, options: &Value) -> Value {
        let client_data = self.client_data("webauthn.get", options);
        let data = self.authenticator_data(0);
        let signature: Signature = self.key.sign(&[data.as_slice(), &Sha256::digest(&client_data)].concat());
        json!({
            "id": BASE64URL_NOPAD.encode(self.id.as_ref()), "rawId": BASE64URL_NOPAD.encode(self.id.as_ref()), "type": "public-key",
            "response": {
                "clientDataJSON": BASE64URL_NOPAD.encode(client_data.as_ref()),
                "authenticatorData": BASE64URL_NOPAD.encode(data.as_ref()),
                "signature": BASE64URL_NOPAD.encode(signature.to_der().as_bytes().as_ref()),
                "userHandle": BASE64URL_NOPAD.encode(self.handle.as_ref()),
            },
            "clientExtensionResults": {},
        })
    }
}

fn passkeys() -> Passkeys {
    Passkeys::new(Some(URL)).unwrap().unwrap()
}

fn registered(passkeys: &Passkeys, device: &mut Device, user_id: i64) -> NewPasskey {
    let (ceremony, options) = passkeys.begin_registration(user_id, "2026", "anna@example.org", "Anna", &[]).unwrap();
    passkeys.finish_registration(&ceremony, user_id, device.create(&options)).unwrap()
}

fn sign_in(passkeys: &Passkeys, device: &mut Device, stored: &[String]) -> Result<Used, PasskeyError> {
    let (ceremony, options) = passkeys.begin_sign_in(HERE).unwrap();
    passkeys.finish_sign_in(&ceremony, device.get(&options), stored)
}

#[test]
fn a_passkey_is_registered_found_and_used() {
    let (passkeys, mut device) = (passkeys(), Device::new());
    let new = registered(&passkeys, &mut device, 42);
    assert_eq!(new.credential_id, BASE64URL_NOPAD.encode(device.id.as_ref()));

    let (ceremony, options) = passkeys.begin_sign_in(HERE).unwrap();
    let answer = device.get(&options);
    assert_eq!(identify(&answer), Some((42, new.credential_id.clone())));
    let used = passkeys.finish_sign_in(&ceremony, answer, std::slice::from_ref(&new.credential)).unwrap();
    assert_eq!(used, Used { credential_id: new.credential_id, updated: None });
}

#[test]
fn the_questions_ask_for_a_discoverable_passkey_that_checks_the_person_and_name_nobody() {
    let (passkeys, mut device) = (passkeys(), Device::new());
    let known = registered(&passkeys, &mut device, 42);
    let (_, options) = passkeys
        .begin_registration(42, "2026", "anna@example.org", "Anna", &[known.credential, "{}".to_owned()])
        .unwrap();
    let asked = &options["publicKey"];
    assert_eq!(asked["rp"], json!({ "name": "Hearth", "id": "hearth.example.org" }));
    assert_eq!(asked["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(asked["authenticatorSelection"]["requireResidentKey"], true);
    assert_eq!(asked["authenticatorSelection"]["userVerification"], "required");
    assert_eq!(asked["excludeCredentials"][0]["id"], json!(known.credential_id));
    assert!(!options["publicKey"]["user"]["id"].as_str().unwrap().contains("anna"));

    let (_, options) = passkeys.begin_sign_in(HERE).unwrap();
    assert_eq!(options["publicKey"]["userVerification"], "required");
    assert_eq!(options["publicKey"]["allowCredentials"], json!([]));
    assert_eq!(options["publicKey"]["rpId"], "hearth.example.org");
    assert_eq!(options.get("mediation"), None);
}

#[test]
fn a_counter_that_moves_is_kept_and_one_that_goes_back_is_refused() {
    let (passkeys, mut device) = (passkeys(), Device::new());
    let new = registered(&passkeys, &mut device, 42);
    device.counter = 5;
    let updated = sign_in(&passkeys, &mut device, &[new.credential]).unwrap().updated.expect("the counter moved");
    device.counter = 6;
    assert!(sign_in(&passkeys, &mut device, std::slice::from_ref(&updated)).is_ok());
    device.counter = 5;
    assert_eq!(sign_in(&passkeys, &mut device, &[updated]), Err(PasskeyError::Copied));
}

#[test]
fn an_answer_counts_once_and_only_for_the_user_who_began() {
    let (passkeys, mut device) = (passkeys(), Device::new());
    let (ceremony, options) = passkeys.begin_registration(42, "2026", "anna@example.org", "Anna", &[]).unwrap();
    let answer = device.create(&options);
    assert_eq!(passkeys.finish_registration(&ceremony, 43, answer.clone()), Err(PasskeyError::Over));
    assert_eq!(passkeys.finish_registration(&ceremony, 42, answer), Err(PasskeyError::Over));

    let new = registered(&passkeys, &mut device, 42);
    let (ceremony, options) = passkeys.begin_sign_in(HERE).unwrap();
    let (other, _) = passkeys.begin_sign_in(HERE).unwrap();
    let (answer, stored) = (device.get(&options), [new.credential]);
    assert_eq!(
        passkeys.finish_sign_in(&other, answer.clone(), &stored),
        Err(PasskeyError::Refused),
        "not that question's"
    );
    assert!(passkeys.finish_sign_in(&ceremony, answer.clone(), &stored).is_ok());
    assert_eq!(passkeys.finish_sign_in(&ceremony, answer, &stored), Err(PasskeyError::Over));
}

#[test]
fn what_is_forged_unverified_or_from_elsewhere_is_refused() {
    let (passkeys, mut device) = (passkeys(), Device::new());
    let stored = [registered(&passkeys, &mut device, 42).credential];
    let refusal = |change: &dyn Fn(&mut Device)| {
        let mut changed = Device { key: device.key.clone(), handle: device.handle.clone(), ..Device::new() };
        changed.id = device.id;
        change(&mut changed);
        sign_in(&passkeys, &mut changed, &stored).unwrap_err()
    };
    assert_eq!(refusal(&|device| device.verifies = false), PasskeyError::NotVerified);
    assert_eq!(refusal(&|device| device.origin = "https://hearth.example.org"), PasskeyError::WrongAddress);
    assert_eq!(refusal(&|device| device.origin = "https://evil.example.org:8443"), PasskeyError::WrongAddress);
    assert_eq!(refusal(&|device| device.key = Device::new().key), PasskeyError::Refused);
    assert_eq!(refusal(&|device| device.id = [1; 16]), PasskeyError::Unknown);

    device.verifies = false;
    let (ceremony, options) = passkeys.begin_registration(42, "2026", "anna@example.org", "Anna", &[]).unwrap();
    assert_eq!(passkeys.finish_registration(&ceremony, 42, device.create(&options)), Err(PasskeyError::NotVerified));
}

#[test]
fn garbage_is_unreadable_and_identifies_nobody() {
    let passkeys = passkeys();
    for garbage in
        [json!(null), json!("x"), json!({ "rawId": 1 }), json!({ "rawId": "!", "response": { "userHandle": "!" } })]
    {
        let (ceremony, _) = passkeys.begin_sign_in(HERE).unwrap();
        assert_eq!(passkeys.finish_sign_in(&ceremony, garbage.clone(), &[]), Err(PasskeyError::Unreadable));
        let (ceremony, _) = passkeys.begin_registration(1, "2026", "a", "a", &[]).unwrap();
        assert_eq!(passkeys.finish_registration(&ceremony, 1, garbage.clone()), Err(PasskeyError::Unreadable));
        assert_eq!(identify(&garbage), None);
    }
    let short = BASE64URL_NOPAD.encode([7; 15].as_ref());
    assert_eq!(identify(&json!({ "rawId": "AAAA", "response": { "userHandle": short } })), None);
}

#[test]
fn only_an_address_that_browsers_allow_passkeys_at_will_do() {
    assert!(Passkeys::new(None).unwrap().is_none());
    for good in [
        "https://hearth.example.org",
        "https://hearth.tail1234.ts.net/",
        "http://localhost:8080",
        "http://hearth.localhost",
    ] {
        assert!(Passkeys::new(Some(good)).unwrap().is_some(), "{good}");
    }
    for bad in [
        "hearth",
        "",
        "http://hearth.example.org",
        "https://192.0.2.1",
        "https://[2001:db8::1]",
        "https://hearth.example.org/binder",
        "ftp://localhost",
        "https://hearth.example.org/?a",
        "https://anna@hearth.example.org",
        "http://localhost.example.org",
    ] {
        let sentence = Passkeys::new(Some(bad)).unwrap_err();
        assert!(sentence.starts_with("http.public_url ") && sentence.contains(bad), "{sentence}");
    }
}
