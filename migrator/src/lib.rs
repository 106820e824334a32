//! Hearth's migrator.
