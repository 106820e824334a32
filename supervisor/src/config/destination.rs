//! Which destination does a setting's text mean?
//!
//! An absolute path, or `s3://bucket[/prefix][?endpoint=https://host[:port]&region=…&credentials=FILE]`: without an
//! endpoint it is AWS, the region is `us-east-1` unless it is named, and what follows a `=` is taken as it stands.

use std::path::{Component, Path, PathBuf};

/// The region that servers without regions go by.
const REGION: &str = "us-east-1";

/// What a text means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// For people; without what is only for programs.
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An absolute path.
    Directory(PathBuf),
    S3(Bucket),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) bucket: String,
    /// Segments with `/` between them; may be empty.
    pub(crate) prefix: String,
    /// `http(s)://host[:port][/path]`; `None`: AWS.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: String,
    /// A file with the credentials for this destination.
    pub(crate) credentials: Option<PathBuf>,
}

impl Address {
    /// Reads the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > 4096 || text.chars().any(char::is_control) {
            return Err("it is no line of text".to_owned());
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return parse_s3(rest);
        }
        if !text.starts_with('/') {
            return Err(format!("{text} is neither an absolute path nor s3://bucket/prefix?endpoint=https://host"));
        }
        let path = Path::new(text);
        if path.components().any(|part| part == Component::ParentDir) || path.components().count() < 2 {
            return Err(format!("{text} is no directory for backups: it must be a path without .. and other than /"));
        }
        Ok(Self { name: text.to_owned(), kind: Kind::Directory(path.to_owned()) })
    }
}

fn parse_s3(rest: &str) -> Result<Address, String> {
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_matches('/');
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    if !(3..=63).contains(&bucket.len())
        || !bucket.bytes().all(fits)
        || !bucket.starts_with(|first: char| first.is_ascii_alphanumeric())
    {
        return Err(format!("{bucket} is no bucket's name: 3 to 63 lower-case letters, digits, hyphens and dots"));
    }
    // Only letters that mean the same in a path, a URL and a signature.
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    if !prefix.is_empty() && !prefix.split('/').all(is_segment) {
        return Err(format!(
            "{prefix} is no prefix: letters, digits, dots, hyphens and underscores, with single / between"
        ));
    }
    let mut address = Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        endpoint: None,
        region: REGION.to_owned(),
        credentials: None,
    };
    for option in query.split('&').filter(|option| !option.is_empty()) {
        // The value is not repeated where the key is unknown: it may be a secret.
        let (key, value) =
            option.split_once('=').ok_or_else(|| "an option of an s3:// destination has no =".to_owned())?;
        match key {
            "endpoint" => address.endpoint = Some(endpoint(value)?),
            "region" => {
                if value.is_empty()
                    || !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
                {
                    return Err(format!("{value} is no region, such as eu-central-1"));
                }
                address.region = value.to_owned();
            }
            "credentials" => {
                if !value.starts_with('/') {
                    return Err("credentials= names a file by its absolute path".to_owned());
                }
                address.credentials = Some(value.into());
            }
            _ => {
                return Err(format!(
                    "{} is no option of an s3:// destination: endpoint, region or credentials",
                    key.escape_debug()
                ));
            }
        }
    }
    let slash = if prefix.is_empty() { "" } else { "/" };
    let at = address.endpoint.as_ref().map_or(String::new(), |endpoint| format!(" at {endpoint}"));
    Ok(Address { name: format!("s3://{bucket}{slash}{prefix}{at}"), kind: Kind::S3(address) })
}

fn endpoint(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let fits =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'/' | b'[' | b']');
    // A user:password@ would be shown wherever the name is; and a server of S3 knows no such thing.
    if host.contains('@') {
        return Err("an endpoint has no user and password in it; backup.s3_access_key_id is for that".to_owned());
    }
    if host.is_empty()
        || !host.bytes().all(fits)
        || !host.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
    {
        return Err(format!("{text} is no endpoint, such as https://s3.example.org or http://nas.local:9000"));
    }
    Ok(text.to_owned())
}

/// Returns what must be within reach for the destination that a setting's text means: these files and directories, and
/// whether the network.
pub fn reach(text: &str) -> (Vec<PathBuf>, bool) {
    match Address::parse(text).map(|address| address.kind) {
        Ok(Kind::Directory(path)) => (vec![path], false),
        Ok(Kind::S3(bucket)) => (bucket.credentials.into_iter().collect(), true),
        Err(_) => (Vec::new(), false),
    }
}

/// Returns the name for people of what a setting's text means, as a destination is named; of a text that means nothing, itself.
pub fn named(text: &str) -> String {
    Address::parse(text).map_or_else(|_| text.to_owned(), |address| address.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_buckets_are_told_apart_and_named_without_what_is_not_for_people() {
        let address = Address::parse("/mnt/nas/hearth").unwrap();
        assert_eq!(
            address,
            Address { name: "/mnt/nas/hearth".into(), kind: Kind::Directory("/mnt/nas/hearth".into()) }
        );
        let text = "s3://house-backups/hearth/home?endpoint=https://s3.example.org:9000/&region=eu-central-1&credentials=/run/secrets/s3";
        let address = Address::parse(text).unwrap();
        assert_eq!(address.name, "s3://house-backups/hearth/home at https://s3.example.org:9000");
        let Kind::S3(bucket) = address.kind else { panic!("it is S3") };
        assert_eq!((bucket.bucket.as_str(), bucket.prefix.as_str()), ("house-backups", "hearth/home"));
        assert_eq!(bucket.endpoint.as_deref(), Some("https://s3.example.org:9000"));
        assert_eq!(bucket.region, "eu-central-1");
        assert_eq!(bucket.credentials, Some("/run/secrets/s3".into()));
        let Kind::S3(bucket) = Address::parse("s3://house/").unwrap().kind else { panic!("it is S3") };
        assert_eq!((bucket.prefix.as_str(), bucket.endpoint, bucket.region.as_str()), ("", None, "us-east-1"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_no_secret_is_repeated() {
        for text in [
            "",
            "nas",
            "./nas",
            "/",
            "//",
            "/mnt/../etc",
            "/mnt/na\0s",
            "/mnt/\u{1b}[2J",
            "s3://",
            "s3://ab",
            "s3://Bucket",
            "s3://bucket/../other",
            "s3://bucket/a//b",
            "s3://bucket/ä",
            "s3://bucket/a%2fb",
            "s3://bucket?endpoint=",
            "s3://bucket?endpoint=ftp://host",
            "s3://bucket?endpoint=https://",
            "s3://bucket?region=",
            "s3://bucket?region",
            "s3://bucket?credentials=file",
            "gs://bucket",
            "https://host/bucket",
        ] {
            assert!(Address::parse(text).is_err(), "{text:?}");
        }
        for text in ["s3://bucket?secret=HUSH", "s3://bucket?endpoint=https://me:HUSH@host", "s3://bucket?HUSH"] {
            let wrong = Address::parse(text).unwrap_err();
            assert!(!wrong.contains("HUSH"), "{wrong}");
        }
    }
}
