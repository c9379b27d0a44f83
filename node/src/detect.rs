//! Detection: how unusual each record is to a model, when that is an alarm, and how good the alarms are.

pub mod choice;
pub mod detector;
pub mod evaluate;
pub mod measure;
pub mod metrics;
pub mod score;
pub mod threshold;

pub use choice::{Chosen, choose};
pub use detector::{Detector, DetectorError, Explained, History, Preparation, Profile, Scored};
pub use evaluate::{Evaluation, Labelled, Plan, Quality, evaluate};
pub use measure::Measure;
pub use score::{Calibrate, Calibration, smooth};
pub use threshold::Threshold;
