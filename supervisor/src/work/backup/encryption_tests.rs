use std::{
    fs,
    process::{Command, Stdio},
    sync::LazyLock,
};

use age::secrecy::ExposeSecret;
use proptest::prelude::*;

use super::*;

/// Bytes of plaintext in each chunk of an age file.
const CHUNK: usize = 64 << 10;
/// Bytes of a chunk as it is encrypted.
const ENCRYPTED_CHUNK: usize = CHUNK + 16;

/// A key as the operator has it: the line of the identity file, and the recipient.
fn key() -> (String, String) {
    let identity = x25519::Identity::generate();
    (identity.to_string().expose_secret().to_owned(), identity.to_public().to_string())
}

fn encrypted(recipients: &[String], plain: &[u8]) -> Vec<u8> {
    let mut output = encrypt(recipients, Vec::new()).unwrap();
    output.write_all(plain).unwrap();
    output.finish().unwrap()
}

/// Reads it to its end: the plaintext, or the kind of the error that came.
fn decrypted(input: &[u8], identities: &str) -> Result<Vec<u8>, Failure> {
    let mut plain = Vec::new();
    let mut opened = decrypt(input, identities, "b")?;
    match opened.read_to_end(&mut plain) {
        Ok(_) => Ok(plain),
        Err(error) => {
            assert!(matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof), "{error:?}");
            Err(Failure::new(Cause::Damaged, error.to_string()))
        }
    }
}

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 7 % 251) as u8).collect()
}

#[test]
fn any_one_of_several_keys_opens_it() {
    let keys: Vec<_> = (0..3).map(|_| key()).collect();
    let recipients: Vec<String> = keys.iter().map(|(_, public)| public.clone()).collect();
    for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
        let file = encrypted(&recipients, &plain(length));
        for (secret, _) in &keys {
            assert_eq!(decrypted(&file, secret).unwrap(), plain(length));
        }
    }
}

#[test]
fn the_file_is_in_the_binary_format() {
    let (_, public) = key();
    assert!(encrypted(&[public], b"x").starts_with(b"age-encryption.org/v1\n-> X25519 "));
}

#[test]
fn an_identity_file_may_have_comments_blank_lines_and_several_keys() {
    let [(other, _), (secret, public)] = [key(), key()];
    let file = encrypted(std::slice::from_ref(&public), b"household");
    let identities =
        format!("\u{feff}# created: 2026-11-24T03:30:00Z\r\n# public key: {public}\r\n\r\n{other}\r\n  {secret}\r\n");
    assert_eq!(decrypted(&file, &identities).unwrap(), b"household");
}

#[test]
fn if_no_identity_fits_that_is_said_and_how_many_were_tried() {
    let [(one, _), (two, _), (_, public)] = [key(), key(), key()];
    let file = encrypted(&[public], b"household");
    let failure = decrypted(&file, &one).unwrap_err();
    assert_eq!(failure.cause, Cause::Configuration);
    assert_eq!(failure.message, "none of the identities opens the backup b");
    let hint = failure.hint.unwrap();
    assert!(hint.starts_with("1 identity was tried; age-keygen -y FILE prints"), "{hint}");
    let failure = decrypted(&file, &format!("{one}\n{two}")).unwrap_err();
    assert!(failure.hint.unwrap().starts_with("2 identities were tried; "));
}

#[test]
fn what_is_no_identity_is_named_by_its_line_and_never_repeated() {
    let (secret, public) = key();
    let slip = format!("{}ZZZ{}", &secret[..20], &secret[22..]);
    for (line, words) in [
        ("correct horse battery staple", "line 3 of the identity file is no age identity"),
        (&slip, "line 3 of the identity file is an identity with a slip in it"),
        (&public, "line 3 of the identity file is a public key, which only encrypts"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "line 3 of the identity file begins an SSH or other private key"),
        ("AGE-PLUGIN-YUBIKEY-1QQPQQZQ", "line 3 of the identity file is an identity of a plugin"),
        (
            "AGE-SECRET-KEY-PQ-1QQPQQZQ",
            "line 3 of the identity file is an identity of a kind that this version does not know",
        ),
        ("-----BEGIN AGE ENCRYPTED FILE-----", "the identity file is itself encrypted"),
        ("age-encryption.org/v1", "the identity file is itself encrypted"),
    ] {
        let failure = decrypted(b"", &format!("# a comment\n\n{line}\n{secret}")).unwrap_err();
        assert_eq!(failure.cause, Cause::Configuration);
        assert!(failure.message.starts_with(words), "{}", failure.message);
        let said = format!("{} {}", failure.message, failure.hint.unwrap());
        assert!(!said.contains(line) && !said.contains(&secret[16..]), "{said}");
    }
    for nothing in ["", "\n\n", "# only a comment\n"] {
        assert_eq!(decrypted(b"", nothing).unwrap_err().message, "there is no identity in the identity file");
    }
}

#[test]
fn a_recipient_is_accepted_or_refused_in_a_sentence() {
    let (secret, public) = key();
    assert_eq!(check_recipient(&public), Ok(()));
    let mut slip = public.clone();
    slip.replace_range(20..21, if &public[20..21] == "q" { "p" } else { "q" });
    for (text, words) in [
        (slip.as_str(), "is no age recipient, perhaps there is a slip in it; it must be the public key"),
        ("", "this is no age recipient"),
        ("swordfish", "this is no age recipient"),
        ("age1", "is no age recipient"),
        ("ssh-ed25519 AAAAC3Nza", "this is an SSH key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "this is a key file"),
        ("age1yubikey1qqpqqzq", "needs a plugin or another version of age"),
    ] {
        let said = check_recipient(text).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
    assert!(!check_recipient("swordfish").unwrap_err().contains("swordfish"));
    for secret in [secret.clone(), secret.to_lowercase(), format!(" {secret}"), secret[..40].to_owned()] {
        let said = check_recipient(&secret).unwrap_err();
        assert!(said.starts_with("this is a secret key, which does not belong on the server"), "{said}");
        assert!(!said.to_uppercase().contains(&secret.trim().to_uppercase()[16..]), "{said}");
    }
    let failure = encrypt(std::slice::from_ref(&secret), Vec::new()).err().unwrap();
    assert_eq!(failure.cause, Cause::Configuration);
    assert!(!failure.message.contains(&secret[16..]), "{failure}");
    assert!(encrypt(&[], Vec::new()).is_err());
}

#[test]
fn a_file_that_was_cut_off_is_found_also_between_two_chunks() {
    let (secret, public) = key();
    let file = encrypted(&[public], &plain(3 * CHUNK));
    let payload = file.len() - 3 * ENCRYPTED_CHUNK;
    for chunks in 0..3 {
        let failure = decrypted(&file[..payload + chunks * ENCRYPTED_CHUNK], &secret).unwrap_err();
        assert_eq!((failure.cause, failure.message.as_str()), (Cause::Damaged, "age file is truncated"));
    }
    for length in (0..payload).chain([payload + 1, payload + ENCRYPTED_CHUNK - 1, file.len() - 1]) {
        assert_eq!(decrypted(&file[..length], &secret).unwrap_err().cause, Cause::Damaged, "{length}");
    }
    let more = [&file[..], b"x"].concat();
    assert_eq!(decrypted(&more, &secret).unwrap_err().cause, Cause::Damaged);
}

#[test]
fn a_header_without_an_end_is_refused_and_not_read_on() {
    let (secret, _) = key();
    let endless = io::Cursor::new(b"age-encryption.org/v1\n-> X25519 ".to_vec()).chain(io::repeat(b'a'));
    let failure = decrypt(endless, &secret, "b").err().unwrap();
    assert_eq!(
        (failure.cause, failure.message.as_str()),
        (Cause::Damaged, "the backup b is damaged: its header has no end")
    );
    assert_eq!(decrypt(io::repeat(b'-'), &secret, "b").err().unwrap().cause, Cause::Damaged);
}

#[test]
fn what_other_programs_must_open_is_said() {
    let (secret, _) = key();
    let failure = decrypted(b"age-encryption.org/v9\nsomething else", &secret).unwrap_err();
    assert_eq!(failure.cause, Cause::UnknownFormat);
    let passphrase = Encryptor::with_user_passphrase("x".to_owned().into());
    let mut output = passphrase.wrap_output(Vec::new()).unwrap();
    output.write_all(b"household").unwrap();
    let failure = decrypted(&output.finish().unwrap(), &secret).unwrap_err();
    assert_eq!(failure.message, "the backup b is encrypted with a passphrase");
}

/// An identity, and what it opens: two chunks.
static HOUSEHOLD: LazyLock<(String, Vec<u8>)> = LazyLock::new(|| {
    let (secret, public) = key();
    (secret, encrypted(&[public], &plain(CHUNK + 1000)))
});

proptest! {
    // Unoptimised ciphers are slow.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_flipped_bit_anywhere_is_found(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (secret, file) = &*HOUSEHOLD;
        let mut file = file.clone();
        let place = place.index(file.len());
        file[place] ^= 1 << bit;
        prop_assert!(decrypted(&file, secret).is_err(), "{place}");
    }

    #[test]
    fn a_flipped_bit_in_the_header_is_found(place in 0..200_usize, bit in 0..8_u8) {
        let (secret, public) = key();
        let mut file = encrypted(&[public], b"household");
        let place = place % file.len();
        file[place] ^= 1 << bit;
        prop_assert!(decrypted(&file, &secret).is_err(), "{place}");
    }

    #[test]
    fn whatever_lies_there_instead_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), like in any::<bool>()) {
        let (secret, _) = key();
        let bytes = if like { [MAGIC, b"v1\n-> X25519 ", &bytes].concat() } else { bytes };
        prop_assert!(decrypted(&bytes, &secret).is_err());
    }

    #[test]
    fn whatever_stands_in_place_of_a_key_is_a_sentence(text in "\\PC{0,80}") {
        prop_assert!(check_recipient(&text).is_err());
        prop_assert!(decrypted(b"", &text).is_err());
    }
}

/// Runs one of age's own programs with this input.
fn age(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let started = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = started.unwrap_or_else(|error| panic!("{program}: {error}"));
    // Sent beside, for it answers before it has read everything.
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
#[cfg_attr(not(has = "age"), ignore = "needs age and age-keygen")]
fn age_itself_opens_what_is_encrypted_here_and_the_other_way_round() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("identity.txt");
    let path = file.to_str().unwrap();
    age("age-keygen", &["-o", path], b"");
    let public = age("age-keygen", &["-y", path], b"");
    let public = String::from_utf8(public).unwrap().trim().to_owned();
    let identities = fs::read_to_string(&file).unwrap();
    for length in [0, 5, CHUNK, 2 * CHUNK + 5] {
        let ours = encrypted(&[key().1, public.clone()], &plain(length));
        let opened = age("age", &["-d", "-i", path], &ours);
        assert_eq!(opened, plain(length));
        let theirs = age("age", &["-r", &public], &plain(length));
        assert_eq!(decrypted(&theirs, &identities).unwrap(), plain(length));
    }
}
