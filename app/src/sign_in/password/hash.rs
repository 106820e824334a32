//! How is a password kept and checked, and which one is refused?
//!
//! Argon2id with OWASP's parameters (Password Storage Cheat Sheet: 19 MiB, 2 passes, 1 lane), as PHC strings. Each hash
//! costs 19 MiB and tens of milliseconds of a core, so no more than [`AT_ONCE`] are made at once and no more than
//! [`WAITING`] wait; who comes then is told [`Busy`]. So a flood of sign-ins can neither fill the memory nor take all
//! threads.
//!
//! A password is normalised before it is hashed (NFKC: NIST SP 800-63B, 5.1.1.2), since a phone and a laptop may write
//! the same é differently; its characters are counted after that, one for each code point.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, PasswordHash, Version,
    password_hash::{Output, ParamsString, Salt, SaltString},
};
use icu_normalizer::ComposingNormalizerBorrowed;
use tokio::sync::Semaphore;

use super::guessable;
use crate::{
    config::{PASSWORD_LONGEST as LONGEST, PASSWORD_SHORTEST as SHORTEST},
    http::{FieldError, Problem},
    secret,
};

/// What a new hash costs: Argon2id's parameters as OWASP recommends them first.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const OUTPUT_BYTES: usize = 32;

/// A stored hash that asks for more than this is not one of ours: OWASP's largest memory, and twice its passes.
const MOST_KIB: u32 = 46 * 1024;
const MOST_PASSES: u32 = 10;

/// So many hashes are made at once: 38 MiB.
const AT_ONCE: usize = 2;
/// So many wait: about a second at worst on a small board.
const WAITING: usize = 16;

/// A text of more bytes is no password of at most 128 characters, whatever normalisation makes of it.
const LONGEST_BYTES: usize = 4096;

/// Too many passwords are being hashed; another try in some seconds may do (`Retry-After: 2`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Too many people are signing in. Try again in a few seconds.")]
pub(crate) struct Busy;

/// What a password turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Whether it is the right one.
    pub(crate) right: bool,
    /// Whether it is right and its hash is weaker than one made today, so that a new one should be kept.
    pub(crate) rehash: bool,
}

impl Verdict {
    /// Makes a hash in any case, so that the time does not tell whether there was one to compare it with.
    fn of(kept: Option<Kept>, password: &str, memory: &mut [Block]) -> Self {
        let known = kept.is_some();
        let kept = kept.unwrap_or_else(Kept::nobodys);
        let right = kept.is_of(password, memory) && known;
        Self { right, rehash: right && kept.is_weak() }
    }
}

/// Hashes passwords, a few at a time.
#[derive(Clone)]
pub(crate) struct Hasher {
    pool: Arc<Pool>,
}

struct Pool {
    /// Those that are being made and those that wait.
    places: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    /// Memory that the next in the queue takes over.
    spare: Mutex<Vec<Vec<Block>>>,
}

impl Hasher {
    /// Returns a hasher with nothing to do.
    pub(crate) fn new() -> Self {
        Self {
            pool: Arc::new(Pool {
                places: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
                slots: Arc::new(Semaphore::new(AT_ONCE)),
                spare: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Returns the hash of a password, as a PHC string with a salt of its own.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, Busy> {
        let password = normalised(password);
        self.run(move |memory| {
            let salt = secret::random::<{ Salt::RECOMMENDED_LENGTH }>();
            Kept::new(&password, &salt, memory).and_then(|kept| kept.to_phc())
        })
        .await?
        .ok_or(Busy)
    }

    /// Says whether a password is the one that was hashed. With no hash (nobody has that name, or has a password), or with
    /// one that cannot be read, it takes the same time and is never right.
    pub(crate) async fn verify(&self, hash: Option<&str>, password: &str) -> Result<Verdict, Busy> {
        let kept = hash.and_then(Kept::read).filter(|_| password.len() <= LONGEST_BYTES);
        let password = if password.len() <= LONGEST_BYTES { normalised(password) } else { String::new() };
        self.run(move |memory| Verdict::of(kept, &password, memory)).await
    }

    /// Does this with memory for a hash, off the threads that answer requests. What was begun is finished when nobody
    /// waits for it any more, and counts until then.
    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&mut [Block]) -> T + Send + 'static) -> Result<T, Busy> {
        let place = self.pool.places.clone().try_acquire_owned().map_err(|_| Busy)?;
        let slot = self.pool.slots.clone().acquire_owned().await.map_err(|_| Busy)?;
        let pool = self.pool.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut memory = pool.take()?;
            let outcome = work(&mut memory);
            pool.give(memory);
            drop((slot, place));
            Some(outcome)
        });
        done.await.ok().flatten().ok_or(Busy)
    }
}

impl Pool {
    /// Returns memory for a hash, or nothing when there is none to have.
    ///
    /// Room for more than 32 MiB is asked for, of which no more than the hash needs is touched and so used: from
    /// that size on glibc always takes memory from the kernel and gives it back at once (mallopt(3),
    /// M_MMAP_THRESHOLD), while below it the first hash would teach it to keep such memory for good.
    fn take(&self) -> Option<Vec<Block>> {
        if let Some(memory) = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Some(memory);
        }
        let mut memory = Vec::new();
        memory.try_reserve_exact(MOST_KIB as usize).ok()?;
        memory.resize(MEMORY_KIB as usize, Block::default());
        Some(memory)
    }

    /// Keeps memory for the next while somebody waits, so that a flood allocates no more than it began with; else gives
    /// it back, since most of the day nobody signs in.
    fn give(&self, memory: Vec<Block>) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if self.places.available_permits() < WAITING {
            spare.push(memory);
        } else {
            spare.clear();
        }
    }
}

/// A hash as it is kept.
struct Kept {
    params: Params,
    salt: Vec<u8>,
    output: Output,
}

impl Kept {
    /// Makes one with today's parameters.
    fn new(password: &str, salt: &[u8], memory: &mut [Block]) -> Option<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES)).ok()?;
        let mut output = [0; OUTPUT_BYTES];
        argon2id(&params).hash_password_into_with_memory(password.as_bytes(), salt, &mut output, memory).ok()?;
        Some(Self { params, salt: salt.to_vec(), output: Output::new(&output).ok()? })
    }

    /// Returns what stands in for the hash that nobody has.
    fn nobodys() -> Self {
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(OUTPUT_BYTES)).unwrap_or_default();
        // It is of a size that the type takes.
        let output = Output::new(&[0; OUTPUT_BYTES]).unwrap_or_else(|_| unreachable!("32 bytes are an output"));
        Self { params, salt: vec![0; Salt::RECOMMENDED_LENGTH], output }
    }

    /// Reads a PHC string; nothing when it is not one that could be ours.
    fn read(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let ours = hash.algorithm == ARGON2ID_IDENT
            && hash.version == Some(Version::V0x13.into())
            && params.m_cost() <= MOST_KIB
            && params.t_cost() <= MOST_PASSES;
        let output = hash.hash.filter(|output| output.len() == OUTPUT_BYTES)?;
        let mut salt = [0; Salt::MAX_LENGTH];
        let salt = hash.salt?.decode_b64(&mut salt).ok()?.to_vec();
        Some(Self { params, salt, output }).filter(|_| ours)
    }

    fn to_phc(&self) -> Option<String> {
        let salt = SaltString::encode_b64(&self.salt).ok()?;
        let hash = PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params).ok()?,
            salt: Some(salt.as_salt()),
            hash: Some(self.output),
        };
        Some(hash.to_string())
    }

    fn is_of(&self, password: &str, memory: &mut [Block]) -> bool {
        let mut output = [0; OUTPUT_BYTES];
        let mut larger = Vec::new();
        let memory = if self.params.block_count() <= memory.len() {
            memory
        } else {
            // Made by parameters that are above today's.
            larger.resize(self.params.block_count(), Block::default());
            &mut larger
        };
        let done =
            argon2id(&self.params).hash_password_into_with_memory(password.as_bytes(), &self.salt, &mut output, memory);
        // `Output` compares in constant time.
        done.is_ok() && Output::new(&output).is_ok_and(|output| output == self.output)
    }

    fn is_weak(&self) -> bool {
        self.params.m_cost() < MEMORY_KIB || self.params.t_cost() < PASSES
    }
}

fn argon2id(params: &Params) -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
}

fn normalised(password: &str) -> String {
    ComposingNormalizerBorrowed::new_nfkc().normalize(password).into_owned()
}

/// Says what is wrong with a new password: its length, or that somebody would guess it, who knows the commonest
/// passwords, or the person's e-mail and name. Nothing else is asked of it (NIST SP 800-63B: no rules on which
/// characters).
pub(crate) fn check(field: &str, password: &str, email: &str, name: &str) -> Result<(), FieldError> {
    if password.len() > LONGEST_BYTES {
        return Err(FieldError::new(field, format!("must be at most {LONGEST} characters long")));
    }
    let password = normalised(password);
    let length = password.chars().count();
    let wrong = if length < SHORTEST {
        format!("must be at least {SHORTEST} characters long")
    } else if length > LONGEST {
        format!("must be at most {LONGEST} characters long")
    } else if guessable::is_about(&password, email, name) {
        "is too easy to guess: it is made of the e-mail, the name or the word hearth".to_owned()
    } else if guessable::is_common(&password) {
        "is too easy to guess: it is one of the commonest, or a common word with something before or after it"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(FieldError::new(field, wrong))
}

impl From<Busy> for Problem {
    fn from(busy: Busy) -> Self {
        Self::unavailable(busy.to_string(), 2)
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::{TimeVal, TimeValLike},
    };

    use super::*;

    const RIGHT: Verdict = Verdict { right: true, rehash: false };
    const WRONG: Verdict = Verdict { right: false, rehash: false };

    #[tokio::test]
    async fn a_password_is_right_and_another_is_wrong() {
        let hasher = Hasher::new();
        let hash = hasher.hash("plenty of bread").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hasher.hash("plenty of bread").await.unwrap());
        assert_eq!(hasher.verify(Some(&hash), "plenty of bread").await, Ok(RIGHT));
        assert_eq!(hasher.verify(Some(&hash), "plenty of Bread").await, Ok(WRONG));
        assert_eq!(hasher.verify(Some(&hash), &"b".repeat(1 << 20)).await, Ok(WRONG));
    }

    #[tokio::test]
    async fn one_letter_written_in_two_ways_is_one_password() {
        let hasher = Hasher::new();
        let hash = hasher.hash("caf\u{e9} au lait").await.unwrap();
        assert_eq!(hasher.verify(Some(&hash), "cafe\u{301} au lait").await, Ok(RIGHT));
    }

    #[test]
    fn a_hash_is_kept_as_every_release_keeps_it() {
        // As the reference implementation (phc-winner-argon2) writes the same.
        let text = "$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$r5wpvfXDOEyyaZQoc4TfVA8QQQWnbbbKdOhXn2OGJM8";
        let mut memory = vec![Block::default(); MEMORY_KIB as usize];
        let kept = Kept::new("plenty of bread", &[7; 16], &mut memory).unwrap();
        assert_eq!(kept.to_phc().unwrap(), text);
        let read = Kept::read(text).unwrap();
        assert_eq!(read.to_phc().unwrap(), text);
        assert!(read.is_of("plenty of bread", &mut memory) && !read.is_of("plenty of butter", &mut memory));
    }

    #[tokio::test]
    async fn a_weaker_hash_is_right_and_due_for_a_new_one() {
        // From the reference implementation's tests (phc-winner-argon2, test.c), with 256 KiB and 2 passes.
        let weak = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let verdict = Hasher::new().verify(Some(weak), "password").await;
        assert_eq!(verdict, Ok(Verdict { right: true, rehash: true }));
    }

    #[tokio::test]
    async fn a_stronger_hash_is_right_and_stays() {
        let params = Params::new(MEMORY_KIB + 1024, PASSES, LANES, Some(OUTPUT_BYTES)).unwrap();
        let mut output = [0; OUTPUT_BYTES];
        argon2id(&params).hash_password_into(b"plenty of bread", &[7; 16], &mut output).unwrap();
        let kept = Kept { params, salt: vec![7; 16], output: Output::new(&output).unwrap() };
        let hash = kept.to_phc().unwrap();
        assert_eq!(Hasher::new().verify(Some(&hash), "plenty of bread").await, Ok(RIGHT));
    }

    #[tokio::test]
    async fn nobodys_hash_and_garbage_are_wrong_and_take_as_long() {
        let hasher = Hasher::new();
        let hash = hasher.hash("plenty of bread").await.unwrap();
        let greedy = hash.replace("m=19456", "m=4194304");
        let kinds = [Some(hash.as_str()), None, Some("garbage"), Some(""), Some(&greedy)];
        for kind in kinds {
            assert_eq!(hasher.verify(kind, "another password").await, Ok(WRONG));
        }
        // This thread's time on the processor, which other work on the machine does not count into. The least of several rounds
        // tells: of a kind that skipped the hash it would be a thousand times less.
        let spent = || {
            let usage = getrusage(UsageWho::RUSAGE_THREAD).unwrap();
            TimeVal::num_microseconds(&(usage.user_time() + usage.system_time()))
        };
        let mut memory = vec![Block::default(); MEMORY_KIB as usize];
        let mut least = [i64::MAX; 5];
        for _ in 0..100 {
            for (kind, least) in kinds.iter().zip(&mut least) {
                let start = spent();
                assert_eq!(Verdict::of(kind.and_then(Kept::read), "another password", &mut memory), WRONG);
                *least = (*least).min(spent() - start);
            }
            let (shortest, longest) = (least.iter().min().unwrap(), least.iter().max().unwrap());
            if *longest < *shortest * 3 / 2 {
                return;
            }
        }
        panic!("the times differ, in µs: {least:?}");
    }

    #[tokio::test]
    async fn a_flood_is_told_busy_and_memory_stays_that_of_two() {
        let hasher = Hasher::new();
        let tries: Vec<_> = (0..100)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.verify(None, "a password").await })
            })
            .collect();
        let mut answered = 0;
        for one in tries {
            if let Ok(verdict) = one.await.unwrap() {
                assert_eq!(verdict, WRONG);
                answered += 1;
            }
            assert!(hasher.pool.spare.lock().unwrap().len() <= AT_ONCE);
        }
        assert_eq!(answered, AT_ONCE + WAITING);
        assert_eq!(hasher.verify(None, "a password").await, Ok(WRONG), "the flood is over");
        assert!(hasher.pool.spare.lock().unwrap().is_empty(), "memory is given back when nobody waits");
    }

    #[test]
    fn characters_are_counted_after_normalisation() {
        let wrong = |password: &str| {
            check("password", password, "anna@example.org", "Anna").err().map(|error| error.message().to_owned())
        };
        let short = Some("must be at least 10 characters long".to_owned());
        assert_eq!(wrong("blue wren"), short);
        // Nine letters, each followed by its accent.
        assert_eq!(wrong(&"e\u{301}o\u{308}a".repeat(3)), short);
        assert_eq!(wrong("blue wrens"), None);
        assert_eq!(wrong("青い鳥は庭で歌っている"), None);
        let long = "the quick brown fox jumps over ".repeat(5);
        assert_eq!(wrong(&long[..128]), None);
        assert_eq!(wrong(&long[..129]), Some("must be at most 128 characters long".to_owned()));
        assert_eq!(wrong(&long.repeat(100)), Some("must be at most 128 characters long".to_owned()));
    }
}
