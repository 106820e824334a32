//! Hearth's supervisor.
