//! Is any manifest believed that could lead its reader astray?

#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use supervisor::work::backup::manifest::Manifest;

fuzz_target!(|data: &[u8]| {
    let Ok(manifest) = Manifest::parse(data, "x.tar.zst") else { return };
    let mut paths = BTreeSet::new();
    for (index, member) in manifest.members.iter().enumerate() {
        assert!(paths.insert(&member.path), "a member is named twice");
        assert!(member.blake3.len() == 64 && member.blake3.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let expected = match index {
            0 => "app.db".to_owned(),
            _ => format!("files/{}/{}", &member.blake3[..2], member.blake3),
        };
        assert_eq!(member.path, expected);
    }
    assert!(!paths.is_empty() && manifest.bytes() <= i64::MAX as u64);
    let written = serde_json::to_vec(&manifest).expect("a manifest can be written");
    assert_eq!(Manifest::parse(&written, "x.tar.zst").as_ref(), Ok(&manifest));
});
