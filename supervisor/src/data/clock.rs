//! What can be known about the time without trusting the clock?

/// When this version was begun, in seconds since the epoch: 1 November 2026. A clock that shows an earlier time is behind, as
/// that of a machine without a battery is after each start.
pub const EARLIEST: i64 = 1_793_491_200;
