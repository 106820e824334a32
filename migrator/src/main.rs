//! Hearth's migrator.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    migrator::main(migrator::Release::current())
}
