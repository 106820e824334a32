//! Writes the man pages and shell completions of `migrator`: see `.ci/manual`.

#[path = "../../supervisor/examples/supervisor_manual/write.rs"]
mod write;

fn main() -> std::io::Result<()> {
    write::write(&migrator::cli::command(), &["migrator"])
}
