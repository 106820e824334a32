//! Prints what the app's entities say of their tables, as JSON: `cargo migration` and `cargo dev` read it.

use migrator::developer::entity::{Entity, print};

fn main() -> std::process::ExitCode {
    print(app::entities().map(|(table, indexes)| Entity::of_statements(&table, &indexes)))
}
