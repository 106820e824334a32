//! As whom do `PUID` and `PGID` want Hearth to run?
//!
//! Images want these that start as root and become another user. Hearth's never does: compose or the engine starts it as that user.

/// What `PUID` and `PGID` ask for, which is not what Hearth runs as.
#[derive(Debug, PartialEq, Eq)]
pub struct WishedIds {
    /// Which of them is set, as the beginning of a sentence: `PUID and PGID are`.
    pub names: &'static str,
    /// The user to give the container: `99:100`.
    pub user: String,
}

impl WishedIds {
    /// Returns what they ask for; nothing, where neither is set, or Hearth runs as that user anyway (`own`).
    pub fn of(uid: Option<String>, gid: Option<String>, own: (u32, u32)) -> Option<Self> {
        let set = |id: Option<String>| id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        let (uid, gid) = (set(uid), set(gid));
        let names = match (&uid, &gid) {
            (None, None) => return None,
            (Some(_), Some(_)) => "PUID and PGID are",
            (Some(_), None) => "PUID is",
            (None, Some(_)) => "PGID is",
        };
        let is_own = |id: &Option<String>, own: u32| id.as_ref().is_none_or(|id| id.parse() == Ok(own));
        if is_own(&uid, own.0) && is_own(&gid, own.1) {
            return None;
        }
        // What is no number is shown as an example.
        let number = |id: &str, otherwise: u32| id.parse().unwrap_or(otherwise);
        let user = match (uid, gid) {
            (Some(uid), None) => number(&uid, 99).to_string(),
            (uid, gid) => {
                let uid = uid.map_or(own.0, |uid| number(&uid, 99));
                format!("{uid}:{}", gid.map_or(own.1, |gid| number(&gid, 100)))
            }
        };
        Some(Self { names, user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn puid_and_pgid_are_answered_with_the_setting_for_the_user() {
        let told = |uid: &str, gid: &str| {
            let set = |id: &str| (!id.is_empty()).then(|| id.to_owned());
            WishedIds::of(set(uid), set(gid), (1001, 1001)).map(|wished| (wished.names, wished.user))
        };
        let both = "PUID and PGID are";
        for (uid, gid, expected) in [
            ("", "", None),
            (" ", "\t", None),
            ("99", "100", Some((both, "99:100"))),
            ("99", "", Some(("PUID is", "99"))),
            ("", "100", Some(("PGID is", "1001:100"))),
            ("1001", "1001", None),
            ("1001", "100", Some((both, "1001:100"))),
            ("nobody", "users", Some((both, "99:100"))),
            ("nobody", "1001", Some((both, "99:1001"))),
        ] {
            assert_eq!(told(uid, gid), expected.map(|(names, user)| (names, user.to_owned())), "{uid}:{gid}");
        }
    }
}
