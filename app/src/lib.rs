//! Hearth's app.
