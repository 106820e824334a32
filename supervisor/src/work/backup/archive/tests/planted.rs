//! Whatever lies in `files/`, attachments are backed up and come back, and nothing else is read or written.

use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;

use super::*;

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
}

#[test]
fn no_files_at_all_are_no_attachments() {
    let place = Place::new();
    assert_eq!(place.survey(), Survey::default());
    fs::remove_dir(place.files()).unwrap();
    assert_eq!(place.survey(), Survey::default());
    place.archive();
}

#[test]
fn only_attachments_are_backed_up_and_what_is_not_is_told() {
    let place = Place::new();
    let secret = place.path("secret");
    fs::write(&secret, "the operator's token").unwrap();
    let letter = place.attach(b"a letter");
    let directory = letter.parent().unwrap();
    let (name, other) = (directory.file_name().unwrap().to_str().unwrap().to_owned(), place.files());
    let hash = |fill: char| format!("{name}{}", String::from(fill).repeat(62));
    symlink(&secret, directory.join(hash('1'))).unwrap();
    fifo(&directory.join(hash('2')));
    fs::create_dir(directory.join(hash('3'))).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.join("s")).unwrap();
    fs::hard_link(&secret, directory.join("token")).unwrap();
    fs::write(directory.join("x\x1b[2J\u{202e}"), "").unwrap();
    symlink("/etc", other.join("zz")).unwrap();
    symlink("/etc", other.join(if name == "ee" { "ff" } else { "ee" })).unwrap();
    fs::create_dir_all(other.join("deep/er/still")).unwrap();
    fs::write(other.join("passwd"), "x").unwrap();
    fifo(&other.join("queue"));
    // These are nobody's matter: unfinished, or made by the file system or a file manager.
    for hidden in [".restoring-x", ".DS_Store", ".upload.new"] {
        fs::write(other.join(hidden), "").unwrap();
        fs::write(directory.join(hidden), "").unwrap();
    }
    fs::create_dir(other.join("lost+found")).unwrap();

    let survey = place.survey();
    assert_eq!(survey.members.len(), 1);
    assert_eq!(survey.members[0].path, attachment(b"a letter"));
    let mut expected: Vec<_> = [
        (format!("{name}/{}", hash('1')), "it is a link"),
        (format!("{name}/{}", hash('2')), "it is a FIFO"),
        (format!("{name}/{}", hash('3')), "it is a directory that holds no attachments"),
        (format!("{name}/s"), "it is a socket"),
        (format!("{name}/token"), "it does not have the name of an attachment"),
        (format!("{name}/x\\u{{1b}}[2J\\u{{202e}}"), "it does not have the name of an attachment"),
        ("zz".into(), "it is a link"),
        (if name == "ee" { "ff".into() } else { "ee".into() }, "it is a link"),
        ("deep".into(), "it is a directory that holds no attachments"),
        ("passwd".into(), "it does not have the name of an attachment"),
        ("queue".into(), "it is a FIFO"),
    ]
    .iter()
    .map(|(path, why)| format!("files/{path} was left out: {why}"))
    .collect();
    expected.sort();
    assert_eq!(survey.left_out, expected);
    let (_, archive) = place.archive();
    let tar = zstd::decode_all(&archive[..]).unwrap();
    assert!(!tar.windows(8).any(|bytes| bytes == b"operator"));
}

#[test]
fn very_much_that_is_no_attachment_is_told_in_a_few_sentences() {
    let place = Place::new();
    for number in 0..300 {
        fs::write(place.files().join(format!("{number:0200}")), "").unwrap();
    }
    let survey = place.survey();
    assert_eq!(survey.left_out.len(), 21);
    assert_eq!(survey.left_out[20], "280 more in files/ were left out");
    assert!(survey.left_out.iter().all(|sentence| sentence.chars().count() < 200));
}

#[test]
fn a_name_that_lies_is_found_while_it_is_written_and_told_when_all_are_hashed() {
    let place = Place::new();
    place.attach(b"a letter");
    let lying = place.attach(b"another");
    fs::write(&lying, "changed").unwrap();
    let trusting = write::survey(&place.files(), true).unwrap();
    assert_eq!(trusting.members.len(), 2);
    match place.write(&place.manifest(trusting)) {
        Err(Unwritten::Misnamed(path)) => assert_eq!(path, attachment(b"another")),
        other => panic!("{other:?}"),
    }
    let hashed = write::survey(&place.files(), false).unwrap();
    assert_eq!(hashed.members.len(), 1);
    assert_eq!(
        hashed.left_out,
        [format!("{} was left out: its content is not what its name says", attachment(b"another"))]
    );
    place.write(&place.manifest(hashed)).unwrap();
}

#[test]
fn an_attachment_that_changes_between_the_survey_and_the_writing_is_never_written_wrong() {
    let content = vec![7; 300_000];
    let changes: [&dyn Fn(&Path); 8] = [
        &|path| fs::remove_file(path).unwrap(),
        &|path| fs::write(path, vec![7; 299_999]).unwrap(),
        &|path| fs::write(path, vec![7; 300_001]).unwrap(),
        &|path| fs::write(path, "").unwrap(),
        &|path| {
            fs::remove_file(path).unwrap();
            fifo(path);
        },
        &|path| {
            fs::rename(path, path.with_extension("away")).unwrap();
            symlink(path.with_extension("away"), path).unwrap();
        },
        &|path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        &|path| {
            let directory = path.parent().unwrap();
            fs::rename(directory, directory.with_extension("away")).unwrap();
            symlink(directory.with_extension("away"), directory).unwrap();
        },
    ];
    for change in changes {
        let place = Place::new();
        let path = place.attach(&content);
        let manifest = place.manifest(place.survey());
        change(&path);
        assert!(matches!(place.write(&manifest), Err(Unwritten::Misnamed(path)) if path == attachment(&content)));
    }
}

#[test]
fn a_database_that_changes_while_it_is_written_is_no_backup() {
    let place = Place::new();
    let manifest = place.manifest(Survey::default());
    fs::write(place.database(), b"the database".repeat(101)).unwrap();
    let Err(Unwritten::Failed(failure)) = place.write(&manifest) else { panic!() };
    assert!(failure.message.contains("app.db changed while it was read"), "{failure}");
    fs::remove_file(place.database()).unwrap();
    fifo(&place.database());
    let Err(Unwritten::Failed(failure)) = place.write(&manifest) else { panic!() };
    assert!(failure.message.ends_with("app.db: it is not a regular file"), "{failure}");
}

#[test]
fn a_full_disk_while_it_is_written_is_called_that() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(nix::errno::Errno::ENOSPC.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let place = Place::new();
    let written =
        write::write(&mut Full, &place.manifest(Survey::default()), &place.database(), &place.files(), &mut |_, _| ());
    let Err(Unwritten::Failed(failure)) = written else { panic!() };
    assert_eq!(failure.cause, Cause::NoSpace, "{failure}");
}

#[test]
fn a_file_that_only_claims_to_be_large_is_left_out_without_being_read() {
    let place = Place::new();
    let path = place.attach(b"a letter");
    fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let survey = place.survey();
    assert!(survey.members.is_empty());
    assert_eq!(
        survey.left_out,
        [format!("{} was left out: it claims to be much longer than it is", attachment(b"a letter"))]
    );
    // One that is merely full of zeros is an attachment as any other.
    let zeros = vec![0; 17 << 20];
    place.attach(&zeros);
    assert_eq!(place.survey().members.len(), 1);
}

#[test]
fn files_that_are_a_link_are_refused_both_ways() {
    let place = Place::new();
    place.attach(b"a letter");
    let (_, archive) = place.archive();
    fs::rename(place.files(), place.path("elsewhere")).unwrap();
    symlink(place.path("elsewhere"), place.files()).unwrap();
    symlink(place.path("elsewhere"), place.restored()).unwrap();
    let before = tree(&place.path("elsewhere"));
    for failure in [
        write::survey(&place.files(), true).unwrap_err(),
        place.restore(&archive).unwrap_err(),
        read::tidy(&place.files()).unwrap_err(),
    ] {
        assert!(failure.message.contains("files: "), "{failure}");
        assert!(failure.hint.unwrap().contains("not a link to one"));
    }
    assert_eq!(tree(&place.path("elsewhere")), before);
}

#[test]
fn an_attachment_that_is_there_is_believed_only_after_its_hash_was_checked() {
    let place = Place::new();
    place.attach(b"a letter");
    let (_, archive) = place.archive();
    let path = place.path("target").join(attachment(b"a letter"));
    place.restore(&archive).unwrap();
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::symlink_metadata(&path).unwrap());
    let first = inode();
    place.restore(&archive).unwrap();
    assert_eq!(inode(), first, "what is right is not written again");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let victim = place.path("victim");
    fs::write(&victim, "precious").unwrap();
    let plant: [&dyn Fn(); 6] = [
        &|| fs::write(&path, "a litter").unwrap(),
        &|| fs::write(&path, "").unwrap(),
        &|| fs::write(&path, "a letter, and more").unwrap(),
        &|| symlink(&victim, &path).unwrap(),
        &|| symlink("/nowhere", &path).unwrap(),
        &|| fifo(&path),
    ];
    for plant in plant {
        fs::remove_file(&path).unwrap();
        plant();
        place.restore(&archive).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read(&path).unwrap(), b"a letter");
    }
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn what_is_in_the_way_is_moved_aside_and_not_written_through() {
    let place = Place::new();
    place.attach(b"a letter");
    let (_, archive) = place.archive();
    let path = place.path("target").join(attachment(b"a letter"));
    let directory = path.parent().unwrap();
    fs::create_dir_all(place.path("elsewhere")).unwrap();
    fs::create_dir(place.restored()).unwrap();
    symlink(place.path("elsewhere"), directory).unwrap();
    place.restore(&archive).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"a letter");
    assert!(tree(&place.path("elsewhere")).is_empty());
    let aside = |path: &Path| path.with_file_name(format!(".in-the-way-{}-0", path.file_name().unwrap().display()));
    assert!(aside(directory).is_symlink());
    // Nor is a directory in an attachment's place removed: it is not Hearth's.
    fs::remove_file(&path).unwrap();
    fs::create_dir_all(path.join("precious")).unwrap();
    place.restore(&archive).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"a letter");
    assert!(aside(&path).join("precious").is_dir());
}

#[test]
fn what_killed_restores_left_is_not_in_the_way_and_goes() {
    let place = Place::new();
    place.attach(b"a letter");
    let (_, archive) = place.archive();
    let victim = place.path("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir(place.restored()).unwrap();
    let hash = blake3::hash(b"a letter").to_hex();
    let directory = place.restored().join(&hash[..2]);
    fs::create_dir(&directory).unwrap();
    let left = directory.join(format!(".restoring-{hash}"));
    symlink(&victim, &left).unwrap();
    place.restore(&archive).unwrap();
    assert!(fs::symlink_metadata(&left).is_err());
    symlink(&victim, &left).unwrap();
    fs::write(directory.join(".restoring-more"), "half").unwrap();
    // Of a version before 0.3.0.
    fs::write(place.restored().join(".restoring-older"), "half").unwrap();
    read::tidy(&place.restored()).unwrap();
    assert_eq!(fs::read_dir(place.restored()).unwrap().count(), 1, "the attachment's directory");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "the attachment");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
    // What it cannot remove, it names, and removes the rest.
    fs::create_dir(directory.join(".restoring-directory")).unwrap();
    fs::write(directory.join(".restoring-more"), "half").unwrap();
    assert!(read::tidy(&place.restored()).unwrap_err().message.contains("cannot remove .restoring-directory"));
    assert!(!directory.join(".restoring-more").exists());
    read::tidy(&place.path("nowhere")).unwrap();
}
