//! Every maximum of the stages, with its reason.

/// Stages in one list. Each goes over all records, so this bounds the time of a run.
pub const STAGES_MAX: usize = 64;

/// Rules in one stage. Each is tried once on each name, not on each record.
pub const RULES_MAX: usize = 256;

/// Patterns in one list: more than people write by hand.
pub const GLOBS_MAX: usize = 256;

/// Values that one rule allows. Codes and states are few; a measurement has a range.
pub const ALLOWED_MAX: usize = 256;

/// Labels that one rule names.
pub const LABELS_MAX: usize = 64;

/// Bytes in the name of a label, and in its value.
pub const LABEL_BYTES_MAX: usize = 256;

/// Bytes of a unit, as it ends a name: `microseconds_per_operation` has 26.
pub const UNIT_BYTES_MAX: usize = 32;

/// Records that were left out and are kept with their reason; the others are only counted.
pub const LEFT_OUT_KEPT: usize = 20;

/// Rows that fill one gap: a day of minutes. A source that was silent for longer was not there.
pub const FILL_ROWS_MAX: u32 = 1440;

/// Rows that are filled for each row that was measured, over a whole source: minutes out of quarters of an hour.
/// It bounds memory by what came in, whatever the times in it say.
pub const FILLED_PER_MEASURED_MAX: usize = 16;
