//! Files written and read, as whoever imports and exports them does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod csv;
#[cfg(feature = "sqlite")]
mod honey;
mod json;
#[cfg(feature = "sqlite")]
mod million;
mod parquet;
#[cfg(feature = "sqlite")]
mod sqlite;
mod support;
#[cfg(not(feature = "sqlite"))]
mod without;
