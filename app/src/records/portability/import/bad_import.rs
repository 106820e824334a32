//! Why was nothing imported?

use crate::records::{
    attachments::NotKept,
    portability::{format::VERSION, zip::reader::BadArchive},
};

/// Why nothing can be read of an archive.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum BadImport {
    #[error("The archive was not imported: {0}.")]
    Archive(#[from] BadArchive),
    #[error("The archive has no {0}.")]
    Lacks(&'static str),
    #[error("{what} in the archive is larger than {mb} MB, which is the most.", mb = .most >> 20)]
    TooLarge { what: &'static str, most: u64 },
    #[error("{0} in the archive cannot be read: {1}.")]
    Unreadable(&'static str, String),
    #[error("The archive is from a newer program: it is of version {0}, and this Hearth reads version {VERSION}.")]
    Newer(u32),
    #[error("{0} in the archive is not what Hearth writes.")]
    Foreign(&'static str),
    /// Of this machine, not of the archive.
    #[error("{0}")]
    Machine(#[source] NotKept),
}
