//! Damage is found, wherever it is.

use super::*;

#[test]
fn a_flipped_bit_anywhere_is_found_or_changes_nothing_of_what_is_read() {
    let place = Place::new();
    place.attach(b"a letter");
    place.attach(&[7; 700]);
    let (manifest, archive) = place.archive();
    let content = zstd::decode_all(&archive[..]).unwrap();
    let mut unseen = 0;
    for bit in 0..archive.len() * 8 {
        let mut flipped = archive.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match check(&flipped[..]) {
            Err(failure) => {
                // One bit from the magic number is no backup, and from format 1 is 3, of a version to come.
                let causes = [Cause::Damaged, Cause::Configuration, Cause::UnknownFormat];
                assert!(causes.contains(&failure.cause), "bit {bit}: {failure:?}");
                assert!(failure.message.contains("x.tar.zst"), "{failure}");
            }
            // The size of the window, and what the tables of zstd's blocks say of bytes that do not occur.
            Ok(read) => {
                unseen += 1;
                assert_eq!(read, manifest);
                assert!(
                    zstd::decode_all(&flipped[..]).unwrap() == content,
                    "bit {bit} is not seen, and changes something"
                );
            }
        }
    }
    println!("{unseen} of {} bits change nothing", archive.len() * 8);
    assert!(unseen * 100 < archive.len() * 8);
}

#[test]
fn a_flipped_bit_is_found_also_where_the_stream_has_no_checksum() {
    let entries = honest(&[b"a letter"]);
    let mut tar = pack(&entries);
    tar.resize(tar.len() + 2 * BLOCK, 0);
    let whole = check(&compress(&tar)[..]).unwrap();
    // In every content, between the members, and after them; headers have a test of their own.
    let headers: Vec<usize> = entries
        .iter()
        .scan(0, |at, entry| {
            let here = *at;
            *at += BLOCK + entry.content.len() + padding(entry.content.len() as u64);
            Some(here)
        })
        .collect();
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let mut found = 0;
    for byte in (0..tar.len()).filter(|byte| !headers.iter().any(|at| (*at..at + BLOCK).contains(byte))) {
        let mut flipped = tar.clone();
        flipped[byte] ^= 1 << (byte % 8);
        match check(&compressor.compress(&flipped).unwrap()[..]) {
            Err(failure) => {
                found += 1;
                assert!(failure.message.contains("x.tar.zst"), "{failure}");
            }
            // The manifest is what everything else is compared with; it says other things of the backup then, if it can
            // be understood at all. Whoever has the archive's hash sees that.
            Ok(read) => assert!(byte < headers[1] && read.members == whole.members, "byte {byte} is not seen"),
        }
    }
    assert!(found > 2 * BLOCK);
}

#[test]
fn an_archive_that_ends_too_early_is_found_wherever_it_ends() {
    let place = Place::new();
    place.attach(b"a letter");
    let (_, archive) = place.archive();
    for length in 0..archive.len() {
        let failure = check(&archive[..length]).unwrap_err();
        let words = match length {
            0 => "is not a backup of Hearth: it is empty",
            1..4 => "is not a backup of Hearth: it is not compressed with zstd",
            _ => "the backup x.tar.zst is damaged: it ends too early",
        };
        assert!(failure.message.ends_with(words), "{length}: {failure}");
    }
    let tar = zstd::decode_all(&archive[..]).unwrap();
    for blocks in 0..tar.len() / BLOCK {
        let failure = check(&compress(&tar[..blocks * BLOCK])[..]).unwrap_err();
        assert_eq!(failure.cause, Cause::Damaged, "{blocks}: {failure}");
        assert!(failure.message.contains("ends too early"), "{blocks}: {failure}");
    }
}

#[test]
fn something_after_the_end_is_found() {
    let place = Place::new();
    let (_, archive) = place.archive();
    let tar = zstd::decode_all(&archive[..]).unwrap();
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], b"more"].concat();
    for more in [&b"\0"[..], b"more", &archive, &compress(b""), &compress(&[0; 512]), &skippable] {
        let failure = check(archive.as_slice().chain(more)).unwrap_err();
        assert!(failure.message.ends_with("something follows after its end"), "{failure}");
    }
    let packed = pack(&honest(&[]));
    for more in [&packed[..], b"x", &[&[0; 5000][..], b"x"].concat()] {
        let failure = check(&compress(&[&tar, more].concat())[..]).unwrap_err();
        assert!(failure.message.ends_with("something follows after its last member"), "{failure}");
    }
    // Zeros are how other programs fill up an archive; whole blocks of them, and not for ever.
    check(&compress(&[&tar[..], &[0; 9 * BLOCK]].concat())[..]).unwrap();
    assert!(check(&compress(&[&tar[..], &[0; 7]].concat())[..]).is_err());
    assert!(check(&compress(&[&tar[..], &vec![0; 2 << 20]].concat())[..]).is_err());
}

#[test]
fn what_is_no_archive_is_called_that() {
    let tar = pack(&honest(&[]));
    let other = pack(&[Entry::file("readme.txt", "hello")]);
    for (bytes, words) in [
        (Vec::new(), "it is empty"),
        (b"SQLite format 3\0".to_vec(), "it is not compressed with zstd"),
        (tar.clone(), "it is not compressed with zstd"),
        (vec![0; 4096], "it is not compressed with zstd"),
        (compress(&vec![b'x'; 4096]), "a header of its tar archive is not what was written"),
        (compress(&[0; 4096]), "it does not begin with manifest.json"),
        (finish(other), "it does not begin with manifest.json"),
        (finish(pack(&[Entry::of_kind(b'5', "./")])), "it does not begin with manifest.json"),
        (finish(pack(&[Entry::of_kind(b'2', "manifest.json").to("/etc/passwd")])), "is a symbolic link"),
    ] {
        let failure = check(&bytes[..]).unwrap_err();
        assert_eq!(failure.cause, Cause::Configuration, "{failure}");
        assert!(failure.message.starts_with("x.tar.zst is not a backup of Hearth: "), "{failure}");
        assert!(failure.message.contains(words), "{failure}");
        assert!(failure.hint.unwrap().contains("tar --zstd -cf FILE manifest.json app.db files"));
    }
}

#[test]
fn an_error_of_what_it_is_read_from_is_no_damage() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(nix::errno::Errno::EIO.into())
        }
    }
    let (_, archive) = Place::new().archive();
    for length in [0, 3, 100, archive.len()] {
        let failure = check(archive[..length].chain(Broken)).unwrap_err();
        assert_eq!(failure.cause, Cause::Io, "{length}: {failure}");
        assert!(failure.message.starts_with("cannot read the backup x.tar.zst: "), "{failure}");
    }
}

#[test]
fn a_stream_that_comes_byte_by_byte_is_read_as_well() {
    struct Slow<'a>(&'a [u8], bool);
    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }
    let place = Place::new();
    place.attach(b"a letter");
    let (manifest, archive) = place.archive();
    assert_eq!(check(Slow(&archive, false)).unwrap(), manifest);
}
