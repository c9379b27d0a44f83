//! Detection: how unusual each record is to a model, when that is an alarm, and how good the alarms are.

pub mod alarm;
pub mod choice;
pub mod detector;
pub mod drift;
pub mod evaluate;
pub mod label;
pub mod measure;
pub mod metrics;
pub mod newcomer;
pub mod reasons;
pub mod score;
pub mod statistics;
pub mod stream;
pub mod threshold;

pub use alarm::{Alarm, AlarmPolicy, Event, Severity};
pub use choice::{Chosen, choose};
pub use detector::{Detector, DetectorError, Divided, Explained, History, Preparation, Profile, Scored};
pub use drift::{Drift, DriftPolicy, DriftWatch};
pub use evaluate::{Evaluation, Labelled, Plan, Quality, evaluate};
pub use label::{Decision, Labels};
pub use measure::Measure;
pub use newcomer::Newcomer;
pub use reasons::Reasons;
pub use score::{Calibrate, Calibration, smooth};
pub use stream::{Streams, Verdict};
pub use threshold::Threshold;
