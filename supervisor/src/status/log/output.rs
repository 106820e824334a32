//! Where do the lines go when nobody reads them?
//!
//! PID 1 must neither hang nor end because whatever reads its standard error has stopped or is gone. So each piece
//! is written only when the system says that it can be taken at once; else the line is dropped and counted, and the
//! count is told as soon as there is room again. Errors are nobody's to be told of.

use std::{
    fs::File,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
};

use nix::{
    errno::Errno,
    fcntl::OFlag,
    libc::PIPE_BUF,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{MsgFlags, send},
};

/// Lines to a descriptor, without ever waiting.
pub(super) struct Output {
    descriptor: Option<OwnedFd>,
    socket: bool,
    /// Lines dropped since the last one that was taken.
    dropped: u64,
    /// Whether the last line was cut off in its middle.
    torn: bool,
}

impl Output {
    /// Makes the output to standard error. Where there is none, all is dropped.
    pub(super) fn stderr() -> Self {
        match std::io::stderr().as_fd().try_clone_to_owned() {
            Ok(descriptor) => Self::to(descriptor),
            Err(_) => Self { descriptor: None, socket: false, dropped: 0, torn: false },
        }
    }

    /// Makes the output to a descriptor.
    pub(super) fn to(descriptor: OwnedFd) -> Self {
        let descriptor = File::from(descriptor);
        let kind = descriptor.metadata().map(|stat| stat.file_type());
        let socket = kind.as_ref().is_ok_and(FileTypeExt::is_socket);
        // A terminal can say that it has room, and not have it for the whole piece. O_NONBLOCK would help, but is
        // shared with everybody else who has it: so it is opened once more, where this uid may.
        let may_wait = kind.is_ok_and(|kind| kind.is_fifo() || kind.is_char_device());
        let own = may_wait.then(|| {
            let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            let path = format!("/proc/self/fd/{}", descriptor.as_raw_fd());
            File::options().write(true).custom_flags(flags.bits()).open(path).ok()
        });
        let descriptor = Some(own.flatten().unwrap_or(descriptor).into());
        Self { descriptor, socket, dropped: 0, torn: false }
    }

    /// Writes a line with its line feed, or drops it. `told` makes the line that tells of dropped ones.
    pub(super) fn write(&mut self, line: &str, told: impl FnOnce(u64) -> String) {
        if self.dropped > 0 {
            let dropped = told(self.dropped);
            if !self.put(&dropped) {
                self.dropped += 1;
                return;
            }
            self.dropped = 0;
        }
        if !self.put(line) {
            self.dropped += 1;
        }
    }

    /// Writes all of it, or says that it could not.
    fn put(&mut self, line: &str) -> bool {
        let end = if self.torn { "\n" } else { "" };
        let line = [end, line].concat();
        // Up to PIPE_BUF a pipe takes a piece whole, and one that says that it has room has so much: pipe(7).
        for (number, piece) in line.as_bytes().chunks(PIPE_BUF).enumerate() {
            let taken = self.put_piece(piece);
            if taken < piece.len() {
                self.torn |= number > 0 || taken > 0;
                return false;
            }
        }
        self.torn = false;
        true
    }

    /// Returns how many bytes were taken at once.
    fn put_piece(&self, piece: &[u8]) -> usize {
        let Some(descriptor) = &self.descriptor else { return 0 };
        let mut asked = [PollFd::new(descriptor.as_fd(), PollFlags::POLLOUT)];
        if !matches!(poll(&mut asked, PollTimeout::ZERO), Ok(1)) {
            return 0;
        }
        loop {
            let taken = if self.socket {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(descriptor.as_raw_fd(), piece, flags)
            } else {
                nix::unistd::write(descriptor, piece)
            };
            match taken {
                Err(Errno::EINTR) => {}
                other => return other.unwrap_or(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::net::UnixStream, time::Instant};

    use nix::unistd::pipe;

    use super::*;

    fn told(dropped: u64) -> String {
        format!("{dropped} dropped\n")
    }

    #[test]
    fn a_reader_that_stopped_is_not_waited_for_and_is_told_later() {
        let (reader, writer) = pipe().unwrap();
        let mut output = Output::to(writer);
        let line = format!("{}\n", "x".repeat(999));
        let begun = Instant::now();
        for _ in 0..1000 {
            output.write(&line, told);
        }
        assert!(begun.elapsed().as_secs() < 5);
        assert!(output.dropped > 900, "{}", output.dropped);
        let dropped = output.dropped;
        let mut reader = File::from(reader);
        let mut read = vec![0; 1 << 20];
        let length = reader.read(&mut read).unwrap();
        assert_eq!(length % line.len(), 0, "whole lines only");
        output.write("again\n", told);
        let length = reader.read(&mut read).unwrap();
        assert_eq!(String::from_utf8_lossy(&read[..length]), format!("{dropped} dropped\nagain\n"));
    }

    #[test]
    fn a_closed_reader_is_nobodys_end() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut output = Output::to(writer);
        output.write("one\n", told);
        output.write("two\n", told);
        assert_eq!(output.dropped, 2);
    }

    #[test]
    fn a_socket_is_not_waited_for_either() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let mut output = Output::to(writer.into());
        let line = format!("{}\n", "x".repeat(999));
        for _ in 0..10_000 {
            output.write(&line, told);
        }
        assert!(output.dropped > 0);
        let mut read = [0; 1000];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(read, line.as_bytes());
    }

    #[test]
    fn a_long_line_that_found_no_room_for_its_rest_is_ended_before_the_next() {
        let (reader, writer) = pipe().unwrap();
        let mut output = Output::to(writer);
        // More than any pipe holds.
        output.write(&format!("{}\n", "x".repeat(4 << 20)), told);
        assert!(output.torn);
        let mut reader = File::from(reader);
        let mut read = vec![0; 8 << 20];
        let first = reader.read(&mut read).unwrap();
        assert!(read[..first].iter().all(|byte| *byte == b'x'));
        output.write("next\n", told);
        let second = reader.read(&mut read).unwrap();
        assert_eq!(String::from_utf8_lossy(&read[..second]), "\n1 dropped\nnext\n");
    }
}
