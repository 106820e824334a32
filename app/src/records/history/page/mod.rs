//! The versions of a record and the trash as pages for people.
//!
//! They are for members: what was taken out of a record is not for guests.

pub(crate) mod trash;
pub(crate) mod versions;

mod compare;
mod list;

use crate::{html::encoded, records::history::restore::LeftOut};

/// Returns what could not be restored, for the address of the page that says so.
fn left_out_in_address(left_out: &[LeftOut]) -> String {
    let mut address = String::new();
    let mut files = 0;
    for part in left_out {
        match part {
            LeftOut::Place(name) => address += &format!("&without_place={}", encoded(name)),
            LeftOut::Attachment(_) => files += 1,
        }
    }
    if files > 0 {
        address += &format!("&without_files={files}");
    }
    address
}
