//! From records to windows that can be learned: a list of stages over records, then clean, scale, split, window.
//!
//! Each stage is a pure function of its input and its parameters: it looks at no clock, disk or network, and the
//! same input gives the same bytes. The first ones work on records, the last ones on one [`Table`].

pub mod applied;
pub mod clean;
pub mod limits;
pub mod list;
pub mod moments;
pub mod parameter;
pub mod scale;
mod shared;
pub mod split;
pub mod stage;
pub mod table;
pub mod unit;
pub mod window;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;

pub use applied::{Applied, LeftOut, Reason};
pub use clean::{Clean, CleanError, Cleaned, Filling, clean, mark_down};
pub use list::{Pipeline, Step, Warning};
pub use moments::Moments;
pub use scale::{Scale, ScaleError, Scaler, column_moments};
pub use split::{Parts, Split, split};
pub use stage::Stage;
pub use table::{Row, Table};
pub use window::{Window, Windows, window};
