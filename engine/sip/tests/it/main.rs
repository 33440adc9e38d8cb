//! Tests of the parser from outside; what one file does alone is tested in that file.
//!
//! `slow` is a second reader, written without any of the parser's parts: slow, line by line, and
//! easy to believe. Wherever bytes are made up, both have to agree.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must fail")]

mod corpus;
mod documentation;
mod expensive;
mod frames;
mod generate;
mod hostile;
mod own;
mod properties;
mod replies;
mod slow;
