//! Exact times and rates. Never a float: 30000/1001 is not 29.97.

/// A value of this type is a time on a clock of `scale` ticks a second (ISO/IEC 14496-12 timescale).
#[derive(Clone, Copy, Debug)]
pub struct Time {
    pub ticks: i64,
    pub scale: u32,
}

/// A value of this type is a number of frames a second, as a fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub numerator: u32,
    pub denominator: u32,
}
