//! What does a block of a tar archive say that stands where a header must be?
//!
//! Strict: only regular files and directories, with POSIX or GNU headers. Whatever gives a member another name, another
//! length or another place than its header says (links, the extensions of pax and GNU, sparse files) is refused, for two
//! readers could understand it in two ways.

use super::{BLOCK, printable};

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A block of zeros: no more members follow.
    End,
    /// The header of a regular file.
    File {
        /// Its path, as it stands there.
        path: Vec<u8>,
        /// The length of its content.
        bytes: u64,
    },
    /// The header of a directory, which has no content.
    Directory {
        /// Its path, without the slash at its end.
        path: Vec<u8>,
    },
}

/// Reads a block.
///
/// # Errors
/// Why it is refused, as a part of a sentence.
pub(super) fn parse(block: &[u8; BLOCK]) -> Result<Block, String> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(Block::End);
    }
    let sum = field(block, 148, 8);
    // The sum is of the block with blanks in place of the sum.
    let real: u64 = block.iter().map(|byte| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ')
        - sum.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    if octal(sum) != Some(real) {
        return Err("a header of its tar archive is not what was written".into());
    }
    let posix = match field(block, 257, 8) {
        b"ustar\x0000" => true,
        b"ustar  \0" => false,
        _ => return Err("a header of its tar archive is neither a POSIX nor a GNU one".into()),
    };
    let mut path = text(field(block, 0, 100)).to_vec();
    let prefix = text(field(block, 345, 155));
    if posix && !prefix.is_empty() {
        path = [prefix, b"/", &path].concat();
    }
    let bytes = number(field(block, 124, 12)).ok_or_else(|| format!("{} has no sensible length", printable(&path)))?;
    let refused = |what: &str| Err(format!("{} is {what}, which no backup holds", printable(&path)));
    match block[156] {
        b'0' | 0 => Ok(Block::File { path, bytes }),
        b'5' if bytes == 0 => {
            while path.last() == Some(&b'/') {
                path.pop();
            }
            Ok(Block::Directory { path })
        }
        b'5' => refused("a directory with content"),
        b'1' => refused("a hard link"),
        b'2' => refused("a symbolic link"),
        b'3' | b'4' => refused("a device"),
        b'6' => refused("a FIFO"),
        b'x' | b'g' => refused("an extended header of pax"),
        b'L' | b'K' => refused("a long name of GNU tar"),
        b'S' => refused("a sparse file"),
        other => refused(&format!("a member of the kind {}", printable(&[other]))),
    }
}

fn field(block: &[u8; BLOCK], from: usize, length: usize) -> &[u8] {
    &block[from..from + length]
}

/// Returns a text up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads a length: octal digits, or from 8 GiB on as GNU tar writes it, binary with the highest bit of all set.
fn number(field: &[u8]) -> Option<u64> {
    match field.split_first_chunk::<4>() {
        Some(([0x80, 0, 0, 0], rest)) => Some(u64::from_be_bytes(rest.try_into().ok()?)),
        _ => octal(field),
    }
}

/// Reads octal digits that end with a blank or NUL; blanks may stand before them.
fn octal(field: &[u8]) -> Option<u64> {
    let digits = field.iter().skip_while(|byte| **byte == b' ');
    let mut value: Option<u64> = None;
    let mut ended = false;
    for byte in digits {
        match byte {
            b'0'..=b'7' if !ended => {
                value = Some(value.unwrap_or(0).checked_mul(8)?.checked_add(u64::from(byte - b'0'))?);
            }
            b' ' | 0 => ended = true,
            _ => return None,
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(change: impl FnOnce(&mut tar::Header)) -> [u8; BLOCK] {
        let mut header = tar::Header::new_ustar();
        header.set_path("app.db").unwrap();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(5);
        change(&mut header);
        header.set_cksum();
        *header.as_bytes()
    }

    #[test]
    fn lengths_on_both_sides_of_8_gib_are_read_as_they_were_written() {
        for bytes in [0, 1, 511, 8 << 30, (8 << 30) - 1, u64::MAX] {
            assert_eq!(
                parse(&block(|header| header.set_size(bytes))),
                Ok(Block::File { path: b"app.db".into(), bytes })
            );
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_header_is_found_or_means_nothing() {
        let whole = block(|_| ());
        for bit in 0..BLOCK * 8 {
            let mut flipped = whole;
            flipped[bit / 8] ^= 1 << (bit % 8);
            // What ends the digits of the sum may be a blank or NUL, and before them may stand either.
            match parse(&flipped) {
                Ok(read) => assert!((148..156).contains(&(bit / 8)) && Ok(read) == parse(&whole), "bit {bit}"),
                Err(why) => assert!(why.contains("header"), "{why}"),
            }
        }
    }

    #[test]
    fn what_is_no_length_is_none() {
        for wrong in [
            &b"            "[..],
            b"\0\0\0\0\0\0\0\0\0\0\0\0",
            b"0000000000x\0",
            b"00 00000000\0",
            b"9\0\0\0\0\0\0\0\0\0\0\0",
        ] {
            let of = block(|header| header.as_mut_bytes()[124..136].copy_from_slice(wrong));
            assert!(parse(&of).unwrap_err().contains("no sensible length"), "{wrong:?}");
        }
        for wrong in [[0xff; 12], [0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5], [0x81, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]] {
            let of = block(|header| header.as_mut_bytes()[124..136].copy_from_slice(&wrong));
            assert!(parse(&of).unwrap_err().contains("no sensible length"), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn any_block_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), BLOCK), summed in any::<bool>()) {
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(&bytes);
            if summed {
                header.as_mut_bytes()[257..265].copy_from_slice(b"ustar\x0000");
                header.set_cksum();
            }
            let _ = parse(header.as_bytes());
        }
    }
}
