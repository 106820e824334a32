//! What does a container find outside: a name server, an S3 server and a registry, reached by names that only that name
//! server and a file for `/etc/hosts` know.
//!
//! The container shares this machine's network, and is given `resolv.conf` and `hosts` as files.

use std::{
    env, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use crate::{
    engine::name_and_address,
    harness::wait_for,
    registry::{NAME, Registry, Signer},
};

/// The search domain of `resolv.conf`.
const DOMAIN: &str = "house.test";
const KEY: &str = "house";
const SECRET: &str = "hush-hush";

/// The servers, ended with this.
pub(crate) struct Outside {
    directory: tempfile::TempDir,
    s3: Child,
    s3_port: u16,
    registry: Registry,
    provider_port: u16,
    /// Has something for each connection to the provider of single sign-on.
    pub(crate) asked_provider: Receiver<()>,
}

/// How an S3 server is named: by `/etc/hosts`, in full by the name server, by a search domain, and with an IPv6 address only.
pub(crate) const S3_NAMES: [&str; 4] = ["by-hosts.test", "s3.house.test", "s3", "s3-six.house.test"];

impl Outside {
    /// Starts the servers.
    pub(crate) fn start() -> Self {
        let (four, six) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
        let name_server = serve_names(&[
            ("s3.house.test", four),
            ("s3-six.house.test", six),
            ("registry.house.test", four),
            ("id.house.test", six),
        ]);
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("resolv.conf"), format!("nameserver {name_server}\nsearch {DOMAIN}\n")).unwrap();
        fs::write(at("hosts"), "127.0.0.1 localhost by-hosts.test\n::1 localhost\n").unwrap();

        let signer = Signer::new();
        let registry = Registry::with(&["v99.0.0"]).over_tls(&signer);
        // One for all places where a system keeps what it trusts.
        fs::copy(signer.certificate(), at("trusted.crt")).unwrap();

        let (s3, s3_port) = serve_s3(&at("s3"));
        let (provider_port, asked_provider) = listen_as_provider();
        Self { directory, s3, s3_port, registry, provider_port, asked_provider }
    }

    /// The options of `docker run` that lead a container to the servers.
    pub(crate) fn options(&self) -> Vec<String> {
        let mount = |name: &str, place: &str| format!("--volume={}:{place}:ro", self.at(name).display());
        let destinations = S3_NAMES
            .map(|name| format!("s3://house/{}?endpoint=http://{name}:{}", name.replace('.', "-"), self.s3_port));
        let set = |name: &str, value: &str| format!("--env=HEARTH_{name}={value}");
        let registry_port = self.registry.address.port();
        vec![
            "--network=host".to_owned(),
            mount("resolv.conf", "/etc/resolv.conf"),
            mount("hosts", "/etc/hosts"),
            mount("trusted.crt", "/etc/ssl/certs/ca-certificates.crt"),
            set("BACKUP__DESTINATIONS", &format!("{destinations:?}")),
            set("BACKUP__S3_ACCESS_KEY_ID", KEY),
            set("BACKUP__S3_SECRET_ACCESS_KEY", SECRET),
            set("UPDATE__IMAGE", &format!("registry.{DOMAIN}:{registry_port}/{NAME}")),
            set("HTTP__PUBLIC_URL", "https://hearth.house.test"),
            set("AUTH__OIDC_ISSUER", &format!("https://id.{DOMAIN}:{}", self.provider_port)),
            set("AUTH__OIDC_CLIENT_ID", "hearth"),
            set("AUTH__OIDC_CLIENT_SECRET", SECRET),
        ]
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Counts the archives that were copied to the S3 server under this name.
    pub(crate) fn archives(&self, name: &str) -> usize {
        fn count(directory: &Path) -> usize {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            let of = |path: PathBuf| match path.is_dir() {
                true => count(&path),
                false => usize::from(path.to_string_lossy().ends_with(".tar.zst")),
            };
            entries.map(|entry| of(entry.path())).sum()
        }
        count(&self.at("s3").join("house").join(name.replace('.', "-")))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.s3.kill();
        let _ = self.s3.wait();
    }
}

/// Answers for these names and no others; returns the server's address. Port 53 is root's.
fn serve_names(names: &[(&str, IpAddr)]) -> IpAddr {
    let names: Vec<(String, IpAddr)> = names.iter().map(|&(name, address)| (name.to_owned(), address)).collect();
    let (_, address) = name_and_address();
    let socket = UdpSocket::bind((address.ip(), 53)).expect("a name server's port, which wants root");
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            if let Some(answer) = answer(&question[..length], &names) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address.ip()
}

/// Answers one question (RFC 1035, 4): the address, nothing for another type, or that there is no such name.
fn answer(question: &[u8], names: &[(String, IpAddr)]) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*question.get(at)?, *question.get(at + 1)?]);
    let known: Vec<IpAddr> =
        names.iter().filter(|(name, _)| *name == labels.join(".")).map(|&(_, address)| address).collect();
    let record = known.iter().find_map(|address| match (kind, address) {
        (1, IpAddr::V4(address)) => Some(address.octets().to_vec()),
        (28, IpAddr::V6(address)) => Some(address.octets().to_vec()),
        _ => None,
    });
    let code = if known.is_empty() { 3 } else { 0 };
    // The identity, "an answer, as was wanted", one question, and as many records.
    let mut answer = [&question[..2], &[0x81, 0x80 | code, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]].concat();
    answer.extend(question.get(12..at + 4)?);
    if let Some(bytes) = record {
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 0, 0, bytes.len() as u8]);
        answer.extend(bytes);
    }
    Some(answer)
}

/// Starts s3s-fs with the bucket `house`, for IPv4, and something before it for IPv6; returns it and the port of both.
fn serve_s3(root: &Path) -> (Child, u16) {
    fs::create_dir_all(root.join("house")).unwrap();
    let program = env::var_os("HEARTH_TEST_S3S_FS").map_or_else(|| PathBuf::from("s3s-fs"), PathBuf::from);
    // Another process may take the port in between; then the server ends at once, and the next port is tried.
    for _ in 0..20 {
        let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        let port = six.local_addr().unwrap().port();
        let four = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut child = Command::new(&program)
            .args(["--access-key", KEY, "--secret-key", SECRET, "--host", "127.0.0.1", "--port", &port.to_string()])
            .arg(root)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("an S3 server: cargo install s3s-fs --features binary");
        let starts = wait_for("the S3 server", || match TcpStream::connect(four) {
            Ok(_) => Some(true),
            Err(_) => child.try_wait().unwrap().map(|_| false),
        });
        if starts {
            pass_on(six, four);
            return (child, port);
        }
    }
    panic!("{} did not start", program.display());
}

/// Passes on whatever comes in, both ways.
fn pass_on(from: TcpListener, to: SocketAddr) {
    thread::spawn(move || {
        for client in from.incoming().flatten() {
            let server = TcpStream::connect(to).unwrap();
            for (mut source, mut sink) in [(client.try_clone(), server.try_clone()), (Ok(server), Ok(client))]
                .map(|(source, sink)| (source.unwrap(), sink.unwrap()))
            {
                thread::spawn(move || {
                    let _ = std::io::copy(&mut source, &mut sink);
                    let _ = sink.shutdown(std::net::Shutdown::Write);
                });
            }
        }
    });
}

/// Takes connections in the place of a provider of single sign-on, by IPv6, and hangs up.
fn listen_as_provider() -> (u16, Receiver<()>) {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        for _ in listener.incoming().flatten() {
            let _ = tell.send(());
        }
    });
    (port, asked)
}
