//! A real registry: Debian's docker-registry, with or without a sign-in.
//!
//! It wants the program, and openssl for signed tokens.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Instant, SystemTime},
};

use serde_json::json;

use crate::harness::{Answer, LIMIT, parse};

/// The image's name in it.
pub(crate) const NAME: &str = "house/hearth";
/// What it calls itself in a challenge, and who signs its tokens.
pub(crate) const SERVICE: &str = "the test's registry";
const ISSUER: &str = "the test";

pub(crate) struct Registry {
    root: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Registry {
    /// Starts one that lets everybody in, with an image of these tags.
    pub(crate) fn with(tags: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let (child, address) = serve(root.path(), "", "");
        let registry = Self { root, address, child };
        registry.push(tags);
        registry
    }

    /// Starts it again with a sign-in: what the section `auth` of its configuration is to be.
    pub(crate) fn guarded(self, auth: &str) -> Self {
        self.again(auth, "")
    }

    /// Starts it again with this certificate.
    pub(crate) fn over_tls(self, signer: &Signer) -> Self {
        let tls = format!(", tls: {{certificate: {:?}, key: {:?}}}", signer.certificate(), signer.file("key.pem"));
        self.again("", &tls)
    }

    fn again(mut self, auth: &str, tls: &str) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.child, self.address) = serve(self.root.path(), auth, tls);
        self
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/{NAME}", self.address)
    }

    /// Puts an image with nothing in it under each of these tags.
    pub(crate) fn push(&self, tags: &[&str]) {
        let blob = "{}";
        // The SHA-256 of that.
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let begun = self.send("POST", &format!("/v2/{NAME}/blobs/uploads/"), "", "");
        let place = begun.headers["location"].split_once(&self.address.to_string()).unwrap().1.to_owned();
        let put = self.send("PUT", &format!("{place}&digest={digest}"), "application/octet-stream", blob);
        assert_eq!(put.status, 201, "{put:?}");
        let kind = "application/vnd.docker.distribution.manifest.v2+json";
        let config = json!({"mediaType": "application/vnd.docker.container.image.v1+json", "size": blob.len(), "digest": digest});
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}).to_string();
        for tag in tags {
            let put = self.send("PUT", &format!("/v2/{NAME}/manifests/{tag}"), kind, &manifest);
            assert_eq!(put.status, 201, "{tag}: {put:?}");
        }
    }

    fn send(&self, method: &str, target: &str, kind: &str, body: &str) -> Answer {
        send(self.address, method, target, kind, body)
    }
}

/// Sends a registry one request.
pub(crate) fn send(address: SocketAddr, method: &str, target: &str, kind: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        address,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut bytes = Vec::new();
    // It may close before it has read all of a body that it refuses; the answer is there all the same.
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
    }
    parse(&bytes).unwrap_or_else(|| panic!("{method} {target}: {:?}", String::from_utf8_lossy(&bytes)))
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the program on a free port; returns once it answers.
fn serve(root: &Path, auth: &str, tls: &str) -> (Child, SocketAddr) {
    // Another process may take the port in between; then the program ends at once, and the next port is tried.
    for _ in 0..20 {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let settings = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {:?}}}}}\nhttp: {{addr: \"{address}\"{tls}}}\n{auth}",
            root.join("store")
        );
        let file = root.join("config.yml");
        fs::write(&file, settings).unwrap();
        let log = fs::File::create(root.join("log")).unwrap();
        let mut child = Command::new("docker-registry")
            .args([Path::new("serve"), &file])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let until = Instant::now() + LIMIT;
        loop {
            if TcpStream::connect(address).is_ok() {
                return (child, address);
            }
            if child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < until, "docker-registry does not answer");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    panic!("docker-registry did not start: {}", fs::read_to_string(root.join("log")).unwrap());
}

/// Who signs tokens that a registry believes.
pub(crate) struct Signer {
    root: tempfile::TempDir,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let signer = Self { root };
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=the test"])
            .args([
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-addext",
                "subjectAltName=IP:127.0.0.1,DNS:registry.house.test",
            ])
            .args([Path::new("-keyout"), &signer.file("key.pem"), Path::new("-out"), &signer.file("cert.pem")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        signer
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.file("cert.pem")
    }

    /// The section `auth` of a registry that believes this signer and sends to `realm` for its tokens.
    pub(crate) fn section(&self, realm: SocketAddr) -> String {
        let cert = self.certificate();
        format!(
            "auth: {{token: {{realm: \"http://{realm}/token?of=this\", service: {SERVICE:?}, issuer: {ISSUER:?}, rootcertbundle: {cert:?}}}}}\n"
        )
    }

    /// A token that lets nobody in particular pull the image (Docker's token specification: a JSON web token, RS256).
    pub(crate) fn token(&self) -> String {
        let cert = fs::read_to_string(self.certificate()).unwrap();
        let cert: String = cert.lines().filter(|line| !line.starts_with("---")).collect();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let head = json!({"typ": "JWT", "alg": "RS256", "x5c": [cert]});
        let claims = json!({
            "iss": ISSUER, "sub": "", "aud": SERVICE, "exp": now + 600, "nbf": now - 60, "iat": now, "jti": "1",
            "access": [{"type": "repository", "name": NAME, "actions": ["pull"]}],
        });
        let signed = format!("{}.{}", base64(head.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        fs::write(self.file("signed"), &signed).unwrap();
        let made = Command::new("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .args([&self.file("key.pem"), Path::new("-out"), &self.file("signature"), &self.file("signed")])
            .status()
            .unwrap();
        assert!(made.success());
        format!("{signed}.{}", base64(&fs::read(self.file("signature")).unwrap()))
    }
}

/// Base64 for addresses, without padding (RFC 4648, 5).
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0, |bits: u32, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..=three.len() {
            text.push(LETTERS[(bits >> (18 - 6 * at)) as usize & 63].into());
        }
    }
    text
}
