//! How do operators speak to a running supervisor?
//!
//! HTTP and JSON on `supervisor/control.sock` in the data directory, so another container on the same volume
//! reaches it too. [`server`] responds, [`client`] sends requests, [`orders`] passes from the server to the run loop,
//! and [`token`] says who may call.

pub mod client;
pub mod orders;
pub mod server;
pub mod token;
