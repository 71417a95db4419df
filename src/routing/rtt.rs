//! Round-trip classes: powers of two, so that measuring noise does not re-flood advertisements.

/// The largest class, about 71 minutes. Sums over the longest path stay below 2^36 microseconds.
pub const MAX_RTT_CLASS: u8 = 32;

/// The class of a measured round trip in microseconds: the exponent of the nearest power of two.
pub fn rtt_class(rtt_us: u64) -> u8 {
    let rtt_us = rtt_us.clamp(1, class_rtt_us(MAX_RTT_CLASS));
    let floor = rtt_us.ilog2() as u8;
    let nearer_above = 2 * rtt_us >= 3 * class_rtt_us(floor);
    floor + u8::from(nearer_above)
}

/// The round trip that a class stands for, microseconds. Classes past the largest count as it.
pub const fn class_rtt_us(class: u8) -> u64 {
    let class = if class > MAX_RTT_CLASS {
        MAX_RTT_CLASS
    } else {
        class
    };
    1 << class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_nearest_power_of_two() {
        let cases = [
            (0, 0),
            (1, 0),
            (2, 1),
            (3, 2),
            (5, 2),
            (6, 3),
            (400, 9),
            (1_000, 10),
            (u64::MAX, MAX_RTT_CLASS),
        ];
        for (rtt_us, class) in cases {
            assert_eq!(rtt_class(rtt_us), class, "{rtt_us} us");
        }
    }

    #[test]
    fn a_class_maps_back_to_itself() {
        for class in 0..=MAX_RTT_CLASS {
            assert_eq!(rtt_class(class_rtt_us(class)), class);
        }
        assert_eq!(class_rtt_us(255), class_rtt_us(MAX_RTT_CLASS));
    }
}
