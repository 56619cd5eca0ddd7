//! The only place that converts between clocks: RTMP milliseconds, which wrap, and MPEG-TS ticks, which wrap too.
//!
//! * RTMP carries 32 bits of milliseconds (RTMP 1.0, section 4): the 24-bit field is full after 4 h 39 min 37 s and
//!   the extended timestamp takes over, the 32 bits wrap after 49 d 17 h.
//! * MPEG-TS carries 33 bits of 90 kHz ticks (ISO 13818-1, 2.4.3.7): they wrap after 26 h 30 min. 2³² ms is no
//!   multiple of 2³³ ticks, so ticks are made of the unwrapped time, never of the wrapped one.

/// Ticks of the MPEG-TS clock in a millisecond.
pub const TICKS_PER_MS: u64 = 90;
/// PTS and DTS are modulo this.
pub const TICKS_MODULUS: u64 = 1 << 33;

/// The unwrapped time of a 32-bit stamp that is near `near_ms`: less than 24.8 days before or after it. A time before 0 is
/// 0.
#[must_use]
pub const fn unwrap_ms(near_ms: u64, rtmp_ms: u32) -> u64 {
    near_ms.saturating_add_signed(step_ms(wrap_ms(near_ms), rtmp_ms) as i64)
}

/// The low 32 bits, as RTMP and FLV carry them.
#[must_use]
pub const fn wrap_ms(t_ms: u64) -> u32 {
    // The point of this function is to drop the high half.
    (t_ms & 0xffff_ffff) as u32
}

/// From `from` to `to`, the short way round.
#[must_use]
pub const fn step_ms(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from).cast_signed()
}

/// 90 kHz ticks modulo 2³³ of an unwrapped time in milliseconds.
#[must_use]
pub const fn ticks_90k(t_ms: u64) -> u64 {
    // 2⁶⁴ is a multiple of 2³³: wrapping first loses nothing.
    t_ms.wrapping_mul(TICKS_PER_MS) % TICKS_MODULUS
}

/// 90 kHz ticks modulo 2³³ of a presentation time: `(t + composition) × 90 + offset`.
#[must_use]
pub const fn presentation_ticks_90k(t_ms: u64, composition_ms: i32, offset_ticks: u64) -> u64 {
    let ms = t_ms.wrapping_add_signed(composition_ms as i64);
    ms.wrapping_mul(TICKS_PER_MS).wrapping_add(offset_ticks) % TICKS_MODULUS
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 24 * 3_600_000;

    /// Every 40 ms from `from` to `to`, as an encoder would send it.
    fn follows(from_ms: u64, to_ms: u64) {
        let mut last_ms = from_ms;
        for t_ms in (from_ms..to_ms).step_by(40) {
            last_ms = unwrap_ms(last_ms, wrap_ms(t_ms));
            assert_eq!(last_ms, t_ms);
        }
    }

    #[test]
    fn time_goes_on_where_the_24_bit_field_is_full() {
        assert_eq!(0x00ff_ffff / 60_000, 279, "4 h 39 min");
        follows(279 * 60_000, 280 * 60_000);
    }

    #[test]
    fn time_goes_on_over_three_32_bit_wraps() {
        for wrap in 1..=3_u64 {
            let at = wrap * (1 << 32);
            follows(at - 60_000, at + 60_000);
        }
        assert_eq!((1_u64 << 32) / DAY_MS, 49);
    }

    #[test]
    fn a_stamp_is_unwrapped_to_the_nearest_time() {
        let wrap = 1_u64 << 32;
        for (near_ms, stamp, t_ms) in [
            (wrap - 11, 29, wrap + 29),
            (wrap + 29, u32::MAX, wrap - 1),
            (3 * wrap + 500, 480, 3 * wrap + 480),
            (5, u32::MAX, 0),
        ] {
            assert_eq!(unwrap_ms(near_ms, stamp), t_ms, "{stamp} near {near_ms}");
        }
    }

    #[test]
    fn ticks_wrap_at_26_and_a_half_hours_and_stay_right_over_the_rtmp_wrap() {
        let wrap_ms_total = TICKS_MODULUS / TICKS_PER_MS;
        assert_eq!(wrap_ms_total / 60_000, 26 * 60 + 30, "26 h 30 min");
        assert_eq!(ticks_90k(wrap_ms_total), TICKS_MODULUS - 62, "2³³ is no multiple of 90");
        assert_eq!(ticks_90k(wrap_ms_total + 1), 28);
        let before = ticks_90k((1 << 32) - 1);
        let after = ticks_90k(1 << 32);
        assert_eq!((after + TICKS_MODULUS - before) % TICKS_MODULUS, 90, "one millisecond is 90 ticks, always");
    }

    #[test]
    fn composition_offsets_may_be_negative_even_at_the_start() {
        assert_eq!(presentation_ticks_90k(0, -80, 63_000), 63_000 - 7_200);
        assert_eq!(presentation_ticks_90k(0, -1_000, 63_000), TICKS_MODULUS - 27_000);
        assert_eq!(presentation_ticks_90k(100, 66, 0), 166 * 90);
        assert_eq!(presentation_ticks_90k(TICKS_MODULUS / 90, 1, 0), 28);
    }
}
