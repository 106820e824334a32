//! How is a program kept, and how does it come to be started again?
//!
//! It is copied to a file that is named by its hash, durable before its name appears. It is started only from a file in memory: the job
//! copies it there, checks its hash on the way, and seals the copy, so that what was checked is what runs, whatever becomes of the file
//! in the data directory.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::{FromRawFd, OwnedFd},
    path::Path,
};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};

use crate::{
    data::{
        DataDir, access,
        durable::{self, Explain, Unfinished},
        programs::{self, KeptPrograms, is_name},
        size::Size,
        space,
    },
    failure::{Cause, Failure},
    fault,
    jobs::Kept,
    process::launch::FIRST,
};

/// The longest program that is kept, in bytes.
const LONGEST: u64 = 512 << 20;
/// What must stay free besides the program.
const MARGIN: u64 = 16 << 20;
/// Bytes read at once.
const BUFFER: usize = 256 << 10;

/// Keeps a program. One that is kept already, whole, stays as it is.
///
/// # Errors
/// [`Cause::NoSpace`] with the sum; what the file system said. Nothing that was kept before is changed.
pub fn keep(data: &DataDir, program: &Path) -> Result<Kept, Failure> {
    let doing = || format!("cannot read the program {}", program.display());
    let mut file = File::open(program).explain(doing)?;
    let bytes = file.metadata().explain(doing)?.len();
    if bytes > LONGEST {
        let message = format!("the app is {} long, and programs of up to {} are kept", Size(bytes), Size(LONGEST));
        return Err(Failure::new(Cause::FileSystem, message));
    }
    fault::point("keep.begun").explain(|| "cannot keep the app")?;
    let blake3 = copy(&mut file, &mut io::sink()).explain(doing)?.0;
    let target = data.kept_program(&blake3);
    if open_kept(data, &blake3)
        .is_ok_and(|mut there| copy(&mut there, &mut io::sink()).is_ok_and(|(hash, _)| hash == blake3))
    {
        return Ok(Kept { blake3, bytes });
    }
    durable::create_directory_if_missing(&data.programs())?;
    space::check("the app cannot be kept", &data.programs(), &[(bytes, "the program")], MARGIN, String::new)?;
    let (unfinished, mut out) = Unfinished::begin_of("kept", &target)?;
    file.rewind().explain(doing)?;
    let writing = || format!("cannot write {}", target.display());
    let (copied, _) = copy(&mut file, &mut out).explain(writing)?;
    if copied != blake3 {
        return Err(Failure::new(Cause::Io, format!("the program {} changed while it was kept", program.display())));
    }
    out.sync_all().explain(writing)?;
    fault::point("keep.written").explain(|| "cannot keep the app")?;
    // Something else of that name, such as a link: the rename replaces it.
    unfinished.put()?;
    fault::point("keep.renamed").explain(|| "cannot keep the app")?;
    durable::sync_directory(&data.programs())?;
    durable::sync_directory(data.path())?;
    Ok(Kept { blake3, bytes })
}

/// Copies a kept program into the file in memory that is the first descriptor, and seals it.
///
/// # Errors
/// [`Cause::Damaged`] when it is not what was kept; what keeps it from being read.
pub fn load(data: &DataDir, blake3: &str, bytes: u64) -> Result<(), Failure> {
    // SAFETY: the supervisor put the file in memory at this place for this job alone, and nothing else here owns it.
    let mut memory = File::from(unsafe { OwnedFd::from_raw_fd(FIRST) });
    let path = data.kept_program(blake3);
    let doing = || format!("cannot read the kept program {}", path.display());
    let mut kept = open_kept(data, blake3).map_err(|error| access::unwritable(data, &path, &doing(), &error))?;
    let (hash, length) = copy(&mut kept, &mut memory).explain(doing)?;
    if hash != blake3 || length != bytes {
        return Err(Failure::new(
            Cause::Damaged,
            format!("{} is not the program that was kept: it was changed", path.display()),
        )
        .hint("it is not started; the app of the next version that serves is kept in its place"));
    }
    let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&memory, FcntlArg::F_ADD_SEALS(seals)).explain(|| "cannot seal a program in memory")?;
    Ok(())
}

/// Opens a kept program: a regular file, no link.
fn open_kept(data: &DataDir, blake3: &str) -> io::Result<File> {
    if !is_name(blake3) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not named by a hash"));
    }
    durable::open_regular(&data.kept_program(blake3))
}

/// Copies, and returns the BLAKE3 of what was copied and its length, of which no more than can be a program.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(String, u64)> {
    let mut hasher = blake3::Hasher::new();
    let mut from = from.take(LONGEST + 1);
    let mut buffer = vec![0; BUFFER];
    let mut length = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read])?;
        length += read as u64;
    }
    Ok((hasher.finalize().to_hex().to_string(), length))
}

/// Removes [`programs::unnamed`]. What cannot be removed is tried again with the next start.
pub fn forget_others(data: &DataDir, programs: &KeptPrograms) {
    for path in programs::unnamed(data, programs) {
        let _ = durable::remove_if_there(&path);
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    use super::*;
    use crate::data::programs::{Contract, KeptProgram};

    fn document(blake3: &str) -> KeptPrograms {
        let good =
            KeptProgram { blake3: blake3.into(), bytes: 3, kept_at: String::new(), contract: Contract::default() };
        KeptPrograms { format: 1, good: Some(good), ..KeptPrograms::default() }
    }

    #[test]
    fn a_program_is_kept_for_its_owner_alone_once_and_again_where_it_was_changed() {
        let (directory, data) = crate::work::testing::data();
        let program = directory.path().join("app");
        fs::write(&program, "one").unwrap();
        let kept = keep(&data, &program).unwrap();
        let path = data.kept_program(&kept.blake3);
        assert_eq!((fs::read(&path).unwrap(), kept.bytes), (b"one".to_vec(), 3));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(keep(&data, &program).unwrap(), kept);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before, "nothing is written twice");
        // Changed, or a link in its place: it is there again afterwards, and what the link led to is as it was.
        for plant in [(|path: &Path| fs::write(path, "two").unwrap()) as fn(&Path), |path| {
            fs::write(path.with_file_name("elsewhere"), "precious").unwrap();
            fs::remove_file(path).unwrap();
            symlink(path.with_file_name("elsewhere"), path).unwrap();
        }] {
            plant(&path);
            assert_eq!(keep(&data, &program).unwrap(), kept);
            assert!(fs::symlink_metadata(&path).unwrap().is_file() && fs::read(&path).unwrap() == b"one");
        }
        assert_eq!(fs::read(data.programs().join("elsewhere")).unwrap(), b"precious");
    }

    #[test]
    fn what_the_document_does_not_name_goes_and_nothing_else() {
        let (directory, data) = crate::work::testing::data();
        let program = directory.path().join("app");
        let kept = ["one", "two"].map(|content| {
            fs::write(&program, content).unwrap();
            keep(&data, &program).unwrap().blake3
        });
        fs::write(data.programs().join("notes.txt"), "mine").unwrap();
        fs::write(data.programs().join(".x.kept.new"), "half").unwrap();
        forget_others(&data, &document(&kept[1]));
        let mut names: Vec<_> = fs::read_dir(data.programs()).unwrap().map(|name| name.unwrap().file_name()).collect();
        names.sort();
        let mut expected = [&kept[1], "notes.txt"].map(std::ffi::OsString::from);
        expected.sort();
        assert_eq!(names, expected);
    }

    #[test]
    fn no_path_leads_out_of_the_directory() {
        let (_directory, data) = crate::work::testing::data();
        for name in ["../state.json", "", "A", &"g".repeat(64)] {
            assert!(open_kept(&data, name).is_err(), "{name}");
        }
    }
}
