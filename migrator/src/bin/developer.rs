//! What developers run: `cargo dev`, `cargo migration new`, `cargo migration check`, `cargo release` (`.cargo/config.toml`).
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    migrator::developer::main(migrator::Release::current())
}
