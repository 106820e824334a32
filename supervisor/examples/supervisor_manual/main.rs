//! Writes the man pages and shell completions of `supervisor`: see `.ci/manual`. The command `hearth` of docs/systemd has the same.

mod write;

fn main() -> std::io::Result<()> {
    write::write(&supervisor::cli::command(), &["supervisor", "hearth"])
}
