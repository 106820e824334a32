//! What can PID 1 give back once it serves?
//!
//! The program text that only a start needs: reading settings and the command line, planning, preparing. The kernel
//! maps what it has cached around each page that is touched, so at the end of a start nearly all of the text is in
//! this process's account. It would drop the rest under pressure; here it is told to at once. What is needed again is
//! mapped again from the cache, at the price of a minor fault.

use std::{ffi::c_void, fs, ptr::NonNull};

use nix::sys::mman::{MmapAdvise, madvise};

/// Gives back the text of this program. Best effort: without `/proc` nothing happens.
pub fn give_back() {
    let (Ok(maps), Ok(program)) = (fs::read_to_string("/proc/self/maps"), fs::read_link("/proc/self/exe")) else {
        return;
    };
    let program = program.display().to_string();
    for (start, length) in maps.lines().filter_map(|line| unwritten(line, &program)) {
        let Some(start) = NonNull::new(start as *mut c_void) else { continue };
        // SAFETY: the range is a private mapping of this program's own file, as the kernel has just listed it: its
        // text, or the constants before it. Nothing ever writes to such pages (relocations touch neither), and the
        // file cannot be written while it runs (ETXTBSY), so what is mapped again is the same.
        let _ = unsafe { madvise(start, length, MmapAdvise::MADV_DONTNEED) };
    }
}

/// Reads a line of proc_pid_maps(5): start and length of the mapping if it is this program's text or its constants.
/// Never its data, not even what is read-only by now: that was relocated, and would come back as it is in the file.
fn unwritten(line: &str, program: &str) -> Option<(usize, usize)> {
    let mut fields = line.splitn(6, ' ').map(str::trim);
    let range = fields.next()?;
    let (mode, offset) = (fields.next()?, fields.next()?);
    // What lies first in the file are its constants; a later read-only part was data until it was relocated.
    let is_unwritten = mode == "r-xp" || (mode == "r--p" && offset.bytes().all(|digit| digit == b'0'));
    if !is_unwritten || fields.nth(2)? != program {
        return None;
    }
    let (start, end) = range.split_once('-')?;
    let start = usize::from_str_radix(start, 16).ok()?;
    Some((start, usize::from_str_radix(end, 16).ok()?.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_programs_own_text_is_given_back() {
        let line =
            |mode, offset, path| format!("5581a000-5581c000 {mode} {offset} fe:00 12345                      {path}");
        let own = |mode, offset| unwritten(&line(mode, offset, "/app/supervisor"), "/app/supervisor");
        assert_eq!(own("r-xp", "00001000"), Some((0x5581_a000, 0x2000)));
        assert_eq!(own("r--p", "00000000"), Some((0x5581_a000, 0x2000)));
        assert_eq!(own("r--p", "00477000"), None, "relocated");
        assert_eq!(own("rw-p", "00000000"), None);
        assert_eq!(unwritten(&line("r-xp", "00000000", "/lib/libc.so.6"), "/app/supervisor"), None);
        assert_eq!(unwritten("5581a000-5581c000 r-xp 00000000 00:00 0", "/app/supervisor"), None);
        assert_eq!(unwritten("", "/app/supervisor"), None);
    }

    #[test]
    fn the_program_runs_on_after_it() {
        for _ in 0..3 {
            give_back();
            assert_eq!("still here".to_uppercase(), "STILL HERE");
        }
    }
}
