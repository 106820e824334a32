//! Does any archive make its reader crash, hang, take much memory, or write what the manifest does not say?
//!
//! The first byte says what the rest is: the bytes of a file as they are, or a tar archive, which is compressed here, so
//! that not every mutation ends at zstd's checksum. Headers of the tar archive get a right sum for the same reason.

#![no_main]

use std::{cell::LazyCell, fs, path::Path};

use libfuzzer_sys::fuzz_target;
use supervisor::work::backup::archive::{
    read::{self, Files},
    write,
};

const BLOCK: usize = 512;

thread_local! {
    static SCRATCH: LazyCell<tempfile::TempDir> = LazyCell::new(|| {
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a scratch directory")
    });
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let archive = match kind % 4 {
        0 => rest.to_vec(),
        1 => compress(rest),
        _ => compress(&summed(rest)),
    };
    SCRATCH.with(|scratch| {
        let restored = scratch.path().join("files");
        extract(&archive, scratch.path(), Files::Check);
        extract(&archive, scratch.path(), Files::Restore(&restored));
        let _ = read::tidy(&restored);
        let survey = write::survey(&restored, false);
        if restored.exists() {
            // Whatever was restored is an attachment, whole.
            let left_out = survey.expect("what was restored can be read").left_out;
            assert!(left_out.is_empty(), "{left_out:?}");
            fs::remove_dir_all(&restored).expect("the scratch directory can be emptied");
        }
        let left: Vec<_> = fs::read_dir(scratch.path()).expect("the scratch directory").collect();
        assert!(left.is_empty(), "{left:?}");
    });
});

fn extract(archive: &[u8], scratch: &Path, files: Files<'_>) {
    let database = scratch.join("app.db");
    let Ok(opened) = read::open(archive, "x.tar.zst") else { return };
    let named = opened.manifest().clone();
    if let Ok(manifest) = opened.extract(&database, files, &mut |done, all| assert!(done <= all)) {
        assert_eq!(manifest, named);
        assert_eq!(write::member(&database, "app.db").ok().as_ref(), manifest.members.first());
    }
    let _ = fs::remove_file(&database);
}

fn compress(tar: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(tar, 1).expect("anything can be compressed")
}

/// Puts right the sum of each block that looks like a header.
fn summed(tar: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    for block in tar.chunks_exact_mut(BLOCK) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
    tar
}
