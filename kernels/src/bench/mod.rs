//! Measurements that speed is compared with.

pub mod peak;
