//! Programs that show Starling at work live beside this file, one `[[example]]` each.
