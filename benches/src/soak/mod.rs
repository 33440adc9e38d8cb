//! Hours of mixed traffic with everything going wrong that can be made to go wrong on one machine, and
//! what must hold at the end.
//!
//! - [`plan`] says what goes wrong when, and [`account`] whether the books are right: both pure.
//! - [`hostile`] sends what no phone sends; [`webhook`] takes what the node hands on, and dies on demand;
//!   [`disk`] is a small disk that fills up; [`clock`] is the node's clock.
//! - [`run`] does it, and [`report`] is what it finds.

pub mod account;
pub mod clock;
pub mod disk;
pub mod hostile;
pub mod plan;
pub mod report;
pub mod run;
pub mod webhook;
