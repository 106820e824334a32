//! The app as its clients and its supervisor see it: the real program, over its sockets.
//!
//! Each test has a directory, a database made by the real migrator, and ports of its own, so they run side by side.

mod disk;
mod harness;
mod lifecycle;
mod pages;
mod probation;
mod problems;
mod records;
mod sockets;
mod spec;
mod statements;
