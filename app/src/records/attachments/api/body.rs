//! The attachments and uploads as the API has them.

use poem_openapi::{ApiResponse, Object, payload::Json};

use super::super::{entity::attachment::Role, name::LONGEST, receive::Progress, rows::Attached};
use crate::{
    datetime::Timestamp,
    http::{OptionalField, Text},
};

/// A file of a record.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Attachment", skip_serializing_if_is_none)]
pub(super) struct AttachmentBody {
    /// Assigned by Hearth. Never reused.
    pub(super) id: i64,
    /// The id of the record.
    pub(super) record_id: i64,
    /// The file's name.
    pub(super) name: Text<1, LONGEST>,
    pub(super) role: Role,
    /// Behind how many others of the record it comes.
    pub(super) position: i64,
    /// The type of the content, which Hearth finds out itself.
    pub(super) media_type: String,
    /// The length of the content.
    pub(super) bytes: u64,
    /// The id of the user who added it. Absent if that is not known.
    pub(super) added_by: Option<i64>,
    /// When it was added.
    pub(super) added_at: Timestamp,
}

/// A change to an attachment. Absent fields keep their values.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub(super) struct AttachmentChange {
    /// The file's name. What no file name can have is removed from it.
    pub(super) name: OptionalField<Text<1, LONGEST>>,
    pub(super) role: OptionalField<Role>,
    /// Behind how many others of the record it comes.
    pub(super) position: OptionalField<u64>,
}

/// A file to upload in several requests.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub(super) struct NewUpload {
    /// The file's name. What no file name can have is removed from it.
    pub(super) name: Text<1, LONGEST>,
    pub(super) role: OptionalField<Role>,
    /// The length of the file.
    pub(super) bytes: u64,
    /// Whether a picture keeps where it was taken. Otherwise that is removed.
    pub(super) keep_location: OptionalField<bool>,
}

/// How far an upload is.
#[derive(Debug, Object)]
#[oai(rename = "Upload", skip_serializing_if_is_none)]
pub(super) struct UploadBody {
    /// The id of the upload.
    pub(super) id: String,
    /// The id of the record.
    pub(super) record_id: i64,
    /// The file's name.
    pub(super) name: Text<1, LONGEST>,
    pub(super) role: Role,
    /// The length of the file.
    pub(super) bytes: u64,
    /// How many bytes have arrived and are on the disk.
    pub(super) offset: u64,
    pub(super) attachment: Option<AttachmentBody>,
}

#[derive(ApiResponse)]
pub(super) enum Added {
    /// The attachment was added.
    #[oai(status = 201)]
    Attachment(
        Json<AttachmentBody>,
        /// The address of the attachment.
        #[oai(header = "Location")]
        String,
        /// The version of the record, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum Changed {
    /// The updated attachment.
    #[oai(status = 200)]
    Attachment(
        Json<AttachmentBody>,
        /// The version of the record, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum Begun {
    /// The upload was begun.
    #[oai(status = 201)]
    Upload(
        Json<UploadBody>,
        /// The address of the upload.
        #[oai(header = "Location")]
        String,
    ),
}

#[derive(ApiResponse)]
pub(super) enum Uploaded {
    /// The state of the upload. It has `attachment` once the file is complete.
    #[oai(status = 200)]
    Upload(
        Json<UploadBody>,
        /// How many bytes have arrived and are on the disk.
        #[oai(header = "Upload-Offset")]
        u64,
    ),
}

impl From<Attached> for AttachmentBody {
    fn from(attached: Attached) -> Self {
        let Attached { attachment, bytes, media_type } = attached;
        Self {
            id: attachment.id,
            record_id: attachment.record_id,
            name: Text(attachment.name),
            role: attachment.role,
            position: attachment.position,
            media_type,
            bytes,
            added_by: attachment.added_by,
            added_at: attachment.added_at,
        }
    }
}

impl From<Progress> for UploadBody {
    fn from(progress: Progress) -> Self {
        let Progress { id, upload, offset, made } = progress;
        Self {
            id,
            record_id: upload.record_id,
            name: Text(upload.name),
            role: upload.role,
            bytes: upload.bytes,
            offset,
            attachment: made.map(AttachmentBody::from),
        }
    }
}
