//! May this version serve this database?
//!
//! Each feature reads through its own queries; a new feature is added here.

use super::Health;
use crate::{auth, db::Database, failure::Failure, records};

/// Reads through each query of the app.
pub(crate) async fn self_test(database: &Database, health: &Health) -> Result<(), Failure> {
    let outcomes =
        [health.self_test().await, records::self_test(database).await, auth::self_test::self_test(database).await];
    for outcome in outcomes {
        outcome.map_err(|message| {
            let failure = Failure::new(message)
                .hint("nothing was changed; report this with the versions before and after the upgrade");
            if database.is_hindered() { failure } else { failure.of_the_data() }
        })?;
    }
    Ok(())
}
