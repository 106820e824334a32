//! An archive may come from anywhere; it writes nowhere but where it was told to, and what it claims is not believed.

use std::{io::Write, os::unix::fs::symlink};

use super::*;

/// Restores what must be refused; returns the failure, and has made sure that nothing was written but below the target.
fn refused(archive: &[u8]) -> Failure {
    let place = Place::new();
    fs::create_dir(place.path("outside")).unwrap();
    fs::write(place.path("outside/precious"), "as it was").unwrap();
    let outside = |place: &Place| -> Vec<String> {
        let target = place.path("target/").display().to_string();
        tree(place.directory.path()).into_iter().filter(|line| !line.starts_with(&target)).collect()
    };
    let before = outside(&place);
    let failure = place.restore(archive).unwrap_err();
    assert_eq!(outside(&place), before, "{failure}");
    let left = tree(&place.path("target"));
    assert!(!left.iter().any(|line| line.contains(".restoring-")), "{left:?}");
    for attachment in place.restored().read_dir().into_iter().flatten() {
        for file in fs::read_dir(attachment.unwrap().path()).unwrap() {
            let file = file.unwrap();
            let hash = blake3::hash(&fs::read(file.path()).unwrap()).to_hex();
            assert_eq!(
                file.file_name().to_str().unwrap(),
                hash.as_str(),
                "only whole attachments are put in their place"
            );
        }
    }
    failure
}

#[test]
fn a_member_that_the_manifest_does_not_name_is_refused_whatever_it_is() {
    let attached = attachment(b"one");
    let before = |entry: Entry| move |entries: &mut Vec<Entry>| entries.insert(1, entry.clone());
    let after = |entry: Entry| move |entries: &mut Vec<Entry>| entries.push(entry.clone());
    type Change = Box<dyn Fn(&mut Vec<Entry>)>;
    let changes: Vec<(&str, Change)> = vec![
        ("holds ../outside/x", Box::new(before(Entry::file("../outside/x", "x")))),
        ("holds files/../../outside/x", Box::new(after(Entry::file("files/../../outside/x", "x")))),
        ("holds /tmp/x", Box::new(before(Entry::file("/tmp/x", "x")))),
        ("holds ./app.db", Box::new(after(Entry::file("./app.db", "x")))),
        ("holds x\\u{1b}[2J", Box::new(before(Entry::file("x\x1b[2J", "x")))),
        ("holds \\xff", Box::new(before(Entry::file([0xff], "x")))),
        ("holds ,", Box::new(before(Entry::file("", "")))),
        ("holds manifest.json", Box::new(before(Entry::file("manifest.json", "{}")))),
        ("holds app.db", Box::new(after(Entry::file("app.db", b"the database".repeat(100))))),
        ("holds ..", Box::new(before(Entry::of_kind(b'5', "../")))),
        ("holds etc", Box::new(before(Entry::of_kind(b'5', "etc/")))),
        ("holds files/..", Box::new(before(Entry::of_kind(b'5', "files/../")))),
        ("holds files/ab/cd", Box::new(before(Entry::of_kind(b'5', "files/ab/cd/")))),
        ("files is a symbolic link", Box::new(before(Entry::of_kind(b'2', "files").to("../outside")))),
        ("app.db is a symbolic link", Box::new(before(Entry::of_kind(b'2', "app.db").to("../outside/precious")))),
        ("app.db is a hard link", Box::new(before(Entry::of_kind(b'1', "app.db").to("../outside/precious")))),
        ("is a hard link", Box::new(after(Entry::of_kind(b'1', &attached).to("app.db")))),
        ("null is a device", Box::new(before(Entry::of_kind(b'3', "null")))),
        ("disk is a device", Box::new(before(Entry::of_kind(b'4', "disk")))),
        ("queue is a FIFO", Box::new(before(Entry::of_kind(b'6', "queue")))),
        (
            "an extended header of pax",
            Box::new(before(Entry { kind: b'x', ..Entry::file("app.db", "22 path=../outside/x\n") })),
        ),
        ("an extended header of pax", Box::new(before(Entry { kind: b'g', ..Entry::file("g", "13 size=100\n") }))),
        (
            "a long name of GNU tar",
            Box::new(before(Entry { kind: b'L', ..Entry::file("././@LongLink", "../outside/x\0") })),
        ),
        ("a sparse file", Box::new(before(Entry { kind: b'S', ..Entry::file("app.db", "") }))),
        ("the kind 7", Box::new(before(Entry::of_kind(b'7', "app.db")))),
        ("the kind \\u{1b}", Box::new(before(Entry::of_kind(0x1b, "app.db")))),
        ("K is a long name of GNU tar", Box::new(before(Entry::of_kind(b'K', "K")))),
        ("a directory with content", Box::new(before(Entry { kind: b'5', ..Entry::file("files/", "x") }))),
    ];
    for (words, change) in changes {
        let mut entries = honest(&[b"one", b"two"]);
        change(&mut entries);
        let failure = refused(&finish(pack(&entries)));
        assert_eq!(failure.cause, Cause::Damaged, "{failure}");
        assert!(failure.message.contains(words), "{words}: {failure}");
    }
}

#[test]
fn a_member_that_is_not_what_the_manifest_says_is_refused() {
    type Change<'a> = &'a dyn Fn(&mut Vec<Entry>);
    let attached = attachment(b"one");
    let changes: [(&str, Change<'_>); 8] = [
        ("app.db is 8 EiB", &|entries| entries[1].declared = Some(8 << 60)),
        ("app.db is not what was backed up", &|entries| entries[1].content[7] ^= 1),
        ("is missing", &|entries| {
            entries.pop();
        }),
        ("app.db is missing", &|entries| {
            entries.remove(1);
        }),
        ("app.db is 1199 bytes long in it, and its manifest.json says 1200", &|entries| {
            entries[1].content.pop();
        }),
        ("app.db is 1201 bytes long in it, and its manifest.json says 1200", &|entries| entries[1].content.push(0)),
        ("is not what was backed up", &|entries| {
            let at = entries.iter().position(|entry| entry.name == attachment(b"one").as_bytes()).unwrap();
            entries[at].content = b"eno".to_vec();
        }),
        ("or names once", &|entries| {
            let again = entries[2].clone();
            entries.push(again);
        }),
    ];
    for (words, change) in changes {
        let mut entries = honest(&[b"one", b"two"]);
        change(&mut entries);
        let failure = refused(&finish(pack(&entries)));
        let words = words.replace("app.db is 8 EiB", &format!("app.db is {} bytes long in it", 8_u64 << 60));
        assert_eq!(failure.cause, Cause::Damaged, "{failure}");
        assert!(failure.message.contains(&words), "{words}: {failure}");
        assert!(attached.starts_with("files/"));
    }
}

#[test]
fn a_manifest_that_lies_is_refused_before_anything_is_written() {
    let mut entries = honest(&[b"one"]);
    let document = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = serde_json::from_slice(&entries[0].content).unwrap();
        change(&mut manifest);
        serde_json::to_vec(&manifest).unwrap()
    };
    let lies = [
        document(&|manifest| manifest.members[1].path = "files/../../x".into()),
        document(&|manifest| manifest.members[1].bytes = u64::MAX),
        document(&|manifest| manifest.members.reverse()),
        document(&|manifest| manifest.members[0].blake3 = "/etc/passwd".into()),
        document(&|manifest| manifest.about.instance = "../other".into()),
        b"{}".to_vec(),
        b"{\"format\":1".to_vec(),
        vec![b'['; 1 << 20],
    ];
    for lie in lies {
        entries[0].content = lie;
        let archive = finish(pack(&entries));
        let place = Place::new();
        assert_eq!(place.restore(&archive).unwrap_err().cause, Cause::Damaged);
        assert!(tree(&place.path("target")).is_empty());
    }
    entries[0].declared = Some(crate::work::backup::manifest::LONGEST + 1);
    assert!(refused(&finish(pack(&entries))).message.contains("manifest.json is longer than"));
    entries[0].declared = Some(u64::MAX);
    assert!(refused(&finish(pack(&entries))).message.contains("manifest.json is longer than"));
}

#[test]
fn what_would_keep_its_reader_busy_or_take_its_memory_is_refused() {
    // Directories without an end.
    let mut entries = honest(&[]);
    for _ in 0..1000 {
        entries.insert(1, Entry::of_kind(b'5', "files/ab/"));
    }
    assert!(refused(&finish(pack(&entries))).message.contains("holds files/ab"));
    // A window of 128 MiB.
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&pack(&honest(&[]))).unwrap();
    let failure = refused(&encoder.finish().unwrap());
    assert_eq!(failure.cause, Cause::Configuration);
    assert!(failure.message.contains("takes much memory to read"), "{failure}");
}

#[test]
fn the_database_is_written_only_where_nothing_is() {
    let place = Place::new();
    let archive = finish(pack(&honest(&[])));
    let target = place.path("target/app.db");
    symlink(place.path("victim"), &target).unwrap();
    let failure = read::open(&archive[..], "x").unwrap().extract(&target, Files::Check, &mut |_, _| ()).unwrap_err();
    assert!(failure.message.contains("target/app.db"), "{failure}");
    assert!(!place.path("victim").exists());
}
