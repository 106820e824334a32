//! Writes what the fuzz targets begin with to `seeds/`: `cargo run --example seeds`. To be run again when the format of
//! archives changes.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use supervisor::{
    data::{GenerationId, backup::Reason, state::FORMAT},
    work::backup::{
        archive::write::{member, survey, write},
        manifest::{Manifest, Member},
    },
};

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let (database, files) = (scratch.path().join("app.db"), scratch.path().join("files"));
    fs::write(&database, "a database")?;
    for content in ["a letter", "another"] {
        // Its hash, and with it its name, is only known afterwards.
        let loose = scratch.path().join("loose");
        fs::write(&loose, content)?;
        let Member { blake3, .. } = member(&loose, "loose")?;
        let directory = files.join(&blake3[..2]);
        fs::create_dir_all(&directory)?;
        fs::rename(&loose, directory.join(&blake3))?;
    }
    let survey = survey(&files, false)?;
    let mut members = vec![member(&database, "app.db")?];
    members.extend(survey.members);
    let manifest = Manifest {
        format: FORMAT,
        id: "2026-11-24T03-30-00Z-manual".parse()?,
        sequence: 7,
        reason: Reason::Manual,
        label: Some("before the move".into()),
        created_at: "2026-11-24T03:30:00Z".into(),
        instance: "h-0123456789abcdef".into(),
        version: "0.2.0".into(),
        schema: "m0002_attachments".into(),
        generation: GenerationId(7),
        rows: BTreeMap::from([("records".into(), 3)]),
        left_out: vec!["files/passwd was left out: it is a link".into()],
        members,
    };
    let mut archive = Vec::new();
    write(&mut archive, &manifest, &database, &files, &mut |_, _| ()).map_err(|unwritten| format!("{unwritten:?}"))?;
    let tar = zstd::decode_all(&archive[..])?;
    // The first byte is what the target `archive` takes the rest for.
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    fs::write(seeds.join("archive/file"), [&[0], &archive[..]].concat())?;
    fs::write(seeds.join("archive/tar"), [&[2], &tar[..]].concat())?;
    fs::write(seeds.join("manifest/whole"), serde_json::to_vec(&manifest)?)?;
    fs::write(seeds.join("manifest/newer"), r#"{"format":2,"version":"0.9.0"}"#)?;
    Ok(())
}
