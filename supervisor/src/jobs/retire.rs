//! How do the generations go that retention no longer keeps?

use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::{
    data::{
        DataDir, GenerationId,
        durable::Explain,
        generations,
        view::{self, Live},
    },
    failure::{Cause, Failure},
    fault,
};

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {
    /// The generations that are none any more.
    pub gone: Vec<GenerationId>,
    /// What could not be removed, or not be deleted, as sentences. It blocks nothing.
    pub trouble: Vec<String>,
}

/// Removes generations. Never the live one, nor one with a marker; one that is not there counts as gone.
///
/// # Errors
/// [`Cause::Live`] when it is not certain which generation is live: then nothing is removed.
pub fn retire(data: &DataDir, generations: &[GenerationId]) -> Result<Retired, Failure> {
    let Live::Generation(live) = view::live(data)? else {
        return Err(Failure::new(
            Cause::Live,
            format!("{} does not lead to a generation, so no snapshot is removed", data.live().display()),
        ));
    };
    let mut retired = Retired::default();
    for id in generations {
        match remove(data, *id, live) {
            Ok(deleted) => {
                retired.gone.push(*id);
                retired.trouble.extend(deleted.err().map(|failure| failure.message));
            }
            Err(failure) => retired.trouble.push(failure.message),
        }
    }
    Ok(retired)
}

/// Removes one; the inner result is of the deletion, after which it is gone in any case.
fn remove(data: &DataDir, id: GenerationId, live: GenerationId) -> Result<Result<(), Failure>, Failure> {
    let refuse = |why| Err(Failure::new(Cause::Io, format!("generation {id} is not removed: {why}")));
    match fs::symlink_metadata(data.generation(id)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(())),
        Err(error) => return Err(Failure::io(format!("cannot look at {}", data.generation(id).display()), &error)),
        Ok(found) if !found.is_dir() => return refuse("it is not a directory"),
        Ok(_) if id == live => return refuse("it is the live one"),
        Ok(_) if fs::symlink_metadata(data.marker(id)).is_ok() => return refuse("it is being made"),
        Ok(_) => {}
    }
    let doing = || format!("cannot remove generation {id}");
    let removing = generations::unname(data, id)?;
    fault::point("retire.renamed").explain(doing)?;
    Ok(generations::delete(&removing).and_then(|()| fault::point("retire.removed").explain(doing)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::jobs::testing::{ONE, THREE, TWO, data};

    #[test]
    fn what_is_asked_for_goes_and_what_is_in_use_stays() {
        let (_directory, data) = data();
        for id in [ONE, TWO, THREE] {
            fs::create_dir_all(data.generation(id)).unwrap();
            fs::write(data.database(id), "x").unwrap();
        }
        fs::write(data.marker(THREE), "").unwrap();
        symlink(DataDir::link_target(TWO), data.live()).unwrap();
        let retired = retire(&data, &[ONE, TWO, THREE, GenerationId(9)]).unwrap();
        assert_eq!(retired.gone, [ONE, GenerationId(9)]);
        assert_eq!(
            retired.trouble,
            ["generation 0002 is not removed: it is the live one", "generation 0003 is not removed: it is being made"]
        );
        assert_eq!(fs::read_dir(data.generations()).unwrap().count(), 2);
    }

    #[test]
    fn nothing_goes_while_it_is_not_certain_which_one_is_live() {
        let (_directory, data) = data();
        assert_eq!(retire(&data, &[ONE]).unwrap_err().cause, Cause::Live);
        symlink("generations/0009", data.live()).unwrap();
        assert_eq!(retire(&data, &[ONE]).unwrap_err().cause, Cause::Live);
        assert!(data.generation(ONE).exists());
    }

    #[test]
    fn a_link_of_that_name_and_what_it_leads_to_stay() {
        let (directory, data) = data();
        symlink(DataDir::link_target(ONE), data.live()).unwrap();
        symlink(directory.path(), data.generation(TWO)).unwrap();
        let retired = retire(&data, &[TWO]).unwrap();
        assert_eq!(retired.trouble, ["generation 0002 is not removed: it is not a directory"]);
        assert!(data.generation(TWO).is_symlink());
    }
}
