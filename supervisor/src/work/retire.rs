//! How are generations removed that retention no longer keeps?

use std::{fs, io};

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

/// Removes generations, and returns the ones that are gone. Never the live one, nor one with a marker; one that is
/// not there counts as gone. What cannot be removed keeps none of the others.
///
/// # Errors
/// [`Cause::Live`] when it is not certain which generation is live: then nothing is removed. After all others are
/// gone: which could not be removed, and why.
pub fn retire(data: &DataDir, generations: &[GenerationId]) -> Result<Vec<GenerationId>, Failure> {
    let Live::Generation(live) = view::live(data)? else {
        return Err(Failure::new(
            Cause::Live,
            format!("{} does not lead to a generation, so no snapshot is removed", data.live().display()),
        ));
    };
    let mut gone = Vec::new();
    let mut failed: Option<Failure> = None;
    for id in generations {
        match remove(data, *id, live) {
            Ok(()) => gone.push(*id),
            Err(failure) => match &mut failed {
                None => failed = Some(failure),
                Some(first) => first.message = format!("{}; {}", first.message, failure.message),
            },
        }
    }
    failed.map_or(Ok(gone), Err)
}

fn remove(data: &DataDir, id: GenerationId, live: GenerationId) -> Result<(), Failure> {
    let refuse = |why| Err(Failure::new(Cause::Io, format!("generation {id} is not removed: {why}")));
    match fs::symlink_metadata(data.generation(id)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io(format!("cannot look at {}", data.generation(id).display()), &error)),
        Ok(found) if !found.is_dir() => return refuse("it is not a directory"),
        Ok(_) if id == live => return refuse("it is the live one"),
        Ok(_) if data.is_marked(id) => return refuse("it is being made"),
        Ok(_) => {}
    }
    let doing = || format!("cannot remove generation {id}");
    let removing = generations::unname(data, id)?;
    fault::point("retire.renamed").explain(doing)?;
    generations::delete(&removing)?;
    fault::point("retire.removed").explain(doing)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::work::testing::{ONE, THREE, TWO, data};

    #[test]
    fn what_is_asked_for_goes_and_what_is_in_use_stays() {
        let (_directory, data) = data();
        for id in [ONE, TWO, THREE] {
            fs::create_dir_all(data.generation(id)).unwrap();
            fs::write(data.database(id), "x").unwrap();
        }
        fs::write(data.marker(THREE), "").unwrap();
        symlink(DataDir::link_target(TWO), data.live()).unwrap();
        let failure = retire(&data, &[TWO, ONE, THREE]).unwrap_err();
        assert_eq!(
            failure.message,
            "generation 0002 is not removed: it is the live one; generation 0003 is not removed: it is being made"
        );
        assert!(!data.generation(ONE).exists());
        assert_eq!(fs::read_dir(data.generations()).unwrap().count(), 2);
        assert_eq!(retire(&data, &[ONE]).unwrap(), [ONE], "gone is gone");
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
        assert_eq!(retire(&data, &[TWO]).unwrap_err().message, "generation 0002 is not removed: it is not a directory");
        assert!(data.generation(TWO).is_symlink());
    }
}
