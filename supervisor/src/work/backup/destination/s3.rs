//! How do backups lie in a bucket of an S3-compatible server?
//!
//! An object is there complete or not at all, so archives are sent under their own names: in parts of 8 MiB, each of which
//! is tried again when the network or the server fails for a while. What was sent is read back and hashed here, since no
//! checksum of the server's is common to all that speak S3; a copy costs a download as well.
//!
//! Only the plain calls that each such server knows are made: list, get, put, delete, multipart; by the path and not by the
//! name of the host (`https://host/bucket/key`). A HEAD request is never made, for its errors have no text.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    ops::Range,
    path::Path as FilePath,
    sync::Arc,
};

use object_store::{
    BackoffConfig, Certificate, ClientConfigKey, ClientOptions, Error, GetOptions, GetRange, ObjectMeta, ObjectStore,
    ObjectStoreExt, RetryConfig, WriteMultipart,
    aws::{AmazonS3, AmazonS3Builder},
    path::Path,
};
use tokio::runtime::{self, Runtime};

use super::{Credentials, Patience, store::Store, trouble::Server};
use crate::{
    config::destination::Bucket,
    data::{
        durable::{self, Explain},
        text_file,
    },
    failure::{Cause, Failure},
    work::{reach, roots},
};

/// Bytes that are sent, and read, with one request. Two parts at most are on their way while a third is read.
const PART: u64 = 8 << 20;
const ON_THEIR_WAY: usize = 2;
/// The most parts that an object can be made of, with some to spare: 10,000 in S3. An archive of over 70 GiB has longer
/// parts, and its copy takes the more memory.
const MOST_PARTS: u64 = 9_000;
/// How often a request is tried again. The time that [`Patience`] leaves is over first, as a rule.
const TRIES: usize = 20;
/// The longest file with credentials.
const LONGEST_CREDENTIALS: u64 = 64 << 10;

pub(super) struct S3 {
    server: Server,
    prefix: String,
    runtime: Arc<Runtime>,
    store: Arc<AmazonS3>,
    /// The same with less patience.
    hasty: AmazonS3,
}

impl S3 {
    pub(super) fn open(name: &str, bucket: Bucket, given: &Credentials, patience: Patience) -> Result<Self, Failure> {
        let Bucket { bucket, prefix, endpoint, region, credentials } = bucket;
        let secret = match &credentials {
            Some(file) => read_credentials(file)?,
            None if given.access_key_id.is_empty() || given.secret_access_key.is_empty() => {
                return Err(Failure::new(Cause::Configuration, format!("there are no credentials for {name}")).hint(
                    "set backup.s3_access_key_id and backup.s3_secret_access_key (HEARTH_BACKUP__S3_SECRET_ACCESS_KEY_FILE reads it from a file), or name a file with &credentials=FILE",
                ));
            }
            None => Credentials {
                access_key_id: given.access_key_id.clone(),
                secret_access_key: given.secret_access_key.clone(),
            },
        };
        let proxy = reach::proxy(endpoint.as_deref(), |name| std::env::var(name).ok());
        let server = Server { name: name.to_owned(), region: region.clone(), proxy };
        // The process's own; if another part of it was first, that one was ring as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let mut options = ClientOptions::new()
            .with_allow_http(is_plain)
            .with_connect_timeout(std::time::Duration::from_secs(15).min(patience.silence))
            .with_read_timeout(patience.silence)
            // Of a whole request, however long the answer is; silence is what tells that no more is coming.
            .with_timeout_disabled();
        if is_plain {
            // A server in the house needs none, and an image may have none.
            options = options.with_config(ClientConfigKey::NoSystemCertificates, "true");
        } else {
            let missing = roots::missing().iter().filter_map(|root| Certificate::from_der(root).ok());
            options = missing.fold(options, ClientOptions::with_root_certificate);
        }
        let build = |within| {
            let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: TRIES, retry_timeout: within };
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(&bucket)
                .with_region(&region)
                .with_access_key_id(&secret.access_key_id)
                .with_secret_access_key(&secret.secret_access_key)
                .with_client_options(options.clone())
                .with_allow_http(is_plain)
                .with_disable_bulk_delete(true)
                .with_retry(retry);
            if let Some(endpoint) = &endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            builder.build().map_err(|error| server.explain("cannot speak to the server", &error))
        };
        let (store, hasty) = (Arc::new(build(patience.request)?), build(patience.list)?);
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().explain(|| "cannot start what speaks to S3")?;
        Ok(Self { server, prefix, runtime: Arc::new(runtime), store, hasty })
    }

    fn get(&self, path: &Path, range: Range<u64>) -> Result<(ObjectMeta, bytes::Bytes), Error> {
        self.runtime.block_on(get(&self.store, path, range))
    }

    /// Returns the key of a file below an instance's name. All its parts were checked to be what stays as it is in a key.
    fn path(&self, instance: &str, name: &str) -> Path {
        Path::from_iter(self.prefix.split('/').chain([instance, name]).filter(|part| !part.is_empty()))
    }
}

impl Store for S3 {
    fn instances(&self) -> Result<Vec<String>, Failure> {
        let prefix = (!self.prefix.is_empty()).then(|| Path::from(self.prefix.as_str()));
        let listed = self.runtime.block_on(self.hasty.list_with_delimiter(prefix.as_ref()));
        let listed = listed.map_err(|error| self.server.explain("cannot list the backups", &error))?;
        Ok(listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    fn names(&self, instance: &str, impatient: bool) -> Result<BTreeMap<String, u64>, Failure> {
        let prefix = self.path(instance, "");
        let store = if impatient { &self.hasty } else { &*self.store };
        let listed = self.runtime.block_on(store.list_with_delimiter(Some(&prefix)));
        let listed = listed.map_err(|error| self.server.explain("cannot list the backups", &error))?;
        let named = |object: ObjectMeta| Some((object.location.filename()?.to_owned(), object.size));
        Ok(listed.objects.into_iter().filter_map(named).collect())
    }

    fn small(&self, instance: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        // A byte more than is allowed, whatever the server says of its length.
        match self.get(&self.path(instance, name), 0..limit + 1) {
            Ok((_, bytes)) => Ok((bytes.len() as u64 <= limit).then(|| bytes.into())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.server.explain(&format!("cannot read {name}"), &error)),
        }
    }

    fn stream(&self, instance: &str, name: &str) -> Result<Box<dyn Read + Send>, Failure> {
        let path = self.path(instance, name);
        let doing = format!("cannot read {name}");
        let (object, first) = self.get(&path, 0..PART).map_err(|error| self.server.explain(&doing, &error))?;
        Ok(Box::new(Stream {
            server: self.server.clone(),
            runtime: Arc::clone(&self.runtime),
            store: Arc::clone(&self.store),
            doing,
            at: first.len() as u64,
            length: object.size,
            path,
            piece: first,
        }))
    }

    fn upload(
        &self,
        instance: &str,
        name: &str,
        file: &mut File,
        bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<String, Failure> {
        let path = self.path(instance, name);
        let part = PART.max(bytes.div_ceil(MOST_PARTS));
        let trouble = |error: Error| self.server.explain(&format!("cannot send {name}"), &error);
        self.runtime.block_on(async {
            let upload = self.store.put_multipart(&path).await.map_err(trouble)?;
            #[allow(clippy::cast_possible_truncation, reason = "64-bit only")]
            let mut upload = WriteMultipart::new_with_chunk_size(upload, part as usize);
            let mut hasher = blake3::Hasher::new();
            let sent = loop {
                #[allow(clippy::cast_possible_truncation, reason = "64-bit only")]
                let mut piece = Vec::with_capacity(part.min(bytes) as usize);
                if let Err(error) = Read::take(&mut *file, part).read_to_end(&mut piece) {
                    break Err(Failure::io(format!("cannot read the archive of {name}"), &error));
                }
                if piece.is_empty() {
                    break Ok(());
                }
                hasher.update(&piece);
                if let Err(error) = upload.wait_for_capacity(ON_THEIR_WAY).await {
                    break Err(trouble(error));
                }
                upload.put(piece.into());
                progress(hasher.count());
            };
            if let Err(failure) = sent {
                // What was sent by then would be paid for. That this fails too is no news.
                let _ = upload.abort().await;
                return Err(failure);
            }
            upload.finish().await.map_err(trouble)?;
            Ok(hasher.finalize().to_hex().to_string())
        })
    }

    fn write(&self, instance: &str, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.path(instance, name);
        let put = self.runtime.block_on(self.store.put(&path, bytes.to_vec().into()));
        put.map(drop).map_err(|error| self.server.explain(&format!("cannot write {name}"), &error))
    }

    fn delete(&self, instance: &str, name: &str) -> Result<(), Failure> {
        let path = self.path(instance, name);
        match self.runtime.block_on(self.store.delete(&path)) {
            // Some servers say so; that it is not there is what was wanted.
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.server.explain(&format!("cannot remove {name}"), &error)),
        }
    }
}

async fn get(store: &AmazonS3, path: &Path, range: Range<u64>) -> Result<(ObjectMeta, bytes::Bytes), Error> {
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let got = store.get_opts(path, options).await?;
    Ok((got.meta.clone(), got.bytes().await?))
}

/// An object that is read a part at a time, so that no request lasts for hours and each can be tried again.
struct Stream {
    server: Server,
    runtime: Arc<Runtime>,
    store: Arc<AmazonS3>,
    path: Path,
    doing: String,
    /// Where the next part begins.
    at: u64,
    length: u64,
    /// What is left of the last one.
    piece: bytes::Bytes,
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.at < self.length {
            let range = self.at..self.length.min(self.at + PART);
            let got = self.runtime.block_on(get(&self.store, &self.path, range));
            let (_, piece) = got.map_err(|error| io::Error::other(self.server.explain(&self.doing, &error)))?;
            if piece.is_empty() {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server sent nothing"));
            }
            self.at += piece.len() as u64;
            self.piece = piece;
        }
        let piece = self.piece.split_to(buffer.len().min(self.piece.len()));
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

/// Reads a file as the tools of AWS have it: lines `aws_access_key_id = …` and `aws_secret_access_key = …`, of which the
/// first of each counts.
fn read_credentials(path: &FilePath) -> Result<Credentials, Failure> {
    let doing = || format!("cannot read the credentials in {}", path.display());
    // The operator's own path, which may lead through links, as mounted secrets do.
    let real = fs::canonicalize(path).explain(doing)?;
    let bytes = durable::read_small(&real, LONGEST_CREDENTIALS).explain(doing)?;
    let text = text_file::decode(&bytes).unwrap_or_default();
    let lines = || text.lines().filter_map(|line| line.split_once('='));
    let find = |key| lines().find(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned());
    match (find("aws_access_key_id"), find("aws_secret_access_key")) {
        (Some(access_key_id), Some(secret_access_key))
            if !access_key_id.is_empty() && !secret_access_key.is_empty() =>
        {
            Ok(Credentials { access_key_id, secret_access_key })
        }
        _ => Err(Failure::new(Cause::Configuration, format!("{} holds no credentials", path.display()))
            .hint("two lines: aws_access_key_id = …, and aws_secret_access_key = …")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_a_file_as_the_tools_of_aws_write_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credentials");
        fs::write(
            &file,
            "[default]\naws_access_key_id = AKIA\naws_secret_access_key=a/b=c\n\n[other]\naws_access_key_id=no\n",
        )
        .unwrap();
        let read = read_credentials(&file).unwrap();
        assert_eq!((read.access_key_id.as_str(), read.secret_access_key.as_str()), ("AKIA", "a/b=c"));
        let text = "aws_access_key_id = AKIA\r\naws_secret_access_key = a/b=c\r\n";
        let utf16 = [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        for saved in [format!("\u{feff}{text}").into_bytes(), utf16] {
            fs::write(&file, saved).unwrap();
            assert_eq!(read_credentials(&file).unwrap().access_key_id, "AKIA", "as an editor or PowerShell saves it");
        }
        fs::write(&file, "HUSH\naws_access_key_id =\n").unwrap();
        let Err(failure) = read_credentials(&file) else { panic!("they are no credentials") };
        assert!(!failure.message.contains("HUSH") && failure.message.contains("credentials holds no"), "{failure}");
    }
}
