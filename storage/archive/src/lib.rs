//! The files in which events come into sentrypeer and leave it.
//!
//! ```text
//! SentryPeer 4.x's SQLite file ─┐                          ┌─► JSON lines, CSV, Parquet: any `Write`
//! a JSON log, gzip or not ──────┼─► import ─► Imported     │
//!                               │   StoredEvent ─► export ─┼─► SQLite: a path
//!                               │                          │
//!                               └── honey: the table ◄─────┘
//! ```
//!
//! What holds everywhere:
//!
//! - Nothing here knows the database, a network or the clock.
//! - Every file that is read is hostile: what cannot be read is skipped and counted by its
//!   [`imported::Reason`], and no file makes the program panic or need more memory than a few MiB.
//! - Every file is read and written in order and in constant memory, however large it is.
//! - Every bound is in [`limits`].
//!
//! To read it: [`imported`] for what comes out of a file, `fields` for how texts become that,
//! [`zone`] and `clock` for times, [`import`] for the two formats; [`export`] and `columns` for the way
//! out, [`honey`] for the table that SentryPeer 4.x's readers know.

#![forbid(unsafe_code)]

mod address;
mod clock;
pub mod export;
mod fields;
#[cfg(feature = "sqlite")]
pub mod honey;
pub mod import;
pub mod imported;
pub mod limits;
mod text;
pub mod zone;
