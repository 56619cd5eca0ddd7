//! The wall clock, which people and NTP may set: for points in time that are shown or agreed on, never for intervals.

/// Unix milliseconds.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
