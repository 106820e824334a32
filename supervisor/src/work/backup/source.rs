//! Where is an archive read from?

use std::{
    fs::File,
    io::{self, BufReader, Read},
};

use super::{
    archive::read::{self, Opened},
    destination::{Credentials, Destination, Patience},
    encryption,
};
use crate::{
    config::Backup as Settings,
    data::durable::open_regular,
    failure::{Cause, Failure},
    jobs::backup::{Archive, ArchiveSource},
};

/// What each age file begins with: <https://age-encryption.org/v1>.
const AGE: &[u8] = b"age-encryption.org/";
/// Bytes read from the disk or the network at once.
const BUFFER: usize = 256 << 10;

/// Opens the file or the stream as it lies there.
pub fn raw(place: &ArchiveSource, settings: &Settings) -> Result<Box<dyn Read + Send>, Failure> {
    match place {
        ArchiveSource::File(path) => {
            // An operator's own path may lead through a link; what it leads to must be a file.
            let real = path.canonicalize().map_err(|error| no_file(path, &error))?;
            let file: File = open_regular(&real).map_err(|error| no_file(path, &error))?;
            Ok(Box::new(file))
        }
        ArchiveSource::Destination { destination, instance, id, encrypted } => {
            open_destination(destination, settings)?.read(instance, id, *encrypted)
        }
    }
}

fn no_file(path: &std::path::Path, error: &io::Error) -> Failure {
    let failure = Failure::reading(path, format!("cannot read the backup {}", path.display()), error);
    if error.kind() == io::ErrorKind::NotFound {
        return failure
            .hint("supervisor backup list shows the backups there are; in a container, the path is the container's");
    }
    failure
}

/// Opens a destination with the settings' credentials.
pub fn open_destination(destination: &str, settings: &Settings) -> Result<Destination, Failure> {
    open_with(destination, settings, Patience::default())
}

/// As [`open_destination`], with another patience.
pub fn open_with(destination: &str, settings: &Settings, patience: Patience) -> Result<Destination, Failure> {
    let credentials = Credentials {
        access_key_id: settings.s3_access_key_id.clone(),
        secret_access_key: settings.s3_secret_access_key.clone(),
    };
    Destination::open_with(destination, &credentials, patience)
}

/// Opens an archive, decrypts it if need be, and reads its manifest.
pub fn open<'a>(archive: &Archive, settings: &Settings) -> Result<Opened<'a>, Failure> {
    open_stream(raw(&archive.place, settings)?, archive)
}

/// As [`open`], from bytes that are read elsewhere.
pub fn open_stream<'a>(input: impl Read + 'a, archive: &Archive) -> Result<Opened<'a>, Failure> {
    let name = archive.place.to_string();
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut head = Vec::new();
    (&mut input)
        .take(AGE.len() as u64)
        .read_to_end(&mut head)
        .map_err(|error| Failure::io(format!("cannot read the backup {name}"), &error))?;
    let encrypted = head == AGE;
    let input = io::Cursor::new(head).chain(input);
    if !encrypted {
        return read::open(input, &name);
    }
    match &archive.identities {
        Some(identities) => read::open(encryption::decrypt(input, identities, &name)?, &name),
        None => Err(Failure::new(Cause::Configuration, format!("the backup {name} is encrypted"))
            .hint("name the file with the age identity that opens it: --identity FILE (the one that age-keygen made; the server has only the public key)")),
    }
}
