//! How do operators speak to a running supervisor?
//!
//! HTTP and JSON on `supervisor/control.sock` in the data directory, so another container on the same volume
//! reaches it too. [`server`] answers, [`client`] asks, [`orders`] is what passes from one to the run loop,
//! [`token`] tells who may.

pub mod client;
pub mod orders;
pub mod server;
pub mod token;
