//! Updates as they arrive.
