//! PES headers and their 33-bit clock: a stamp is read here, and made to go on where it wraps.

/// Ticks a second of every time in a transport stream.
pub const HERTZ: u32 = 90_000;
/// Where stamps begin again at zero: after 26 hours and 30 minutes.
pub const WRAP: i64 = 1 << 33;
/// Steps up to this are taken for a stream that goes on: ten minutes.
const STEP: i64 = 600 * HERTZ as i64;

/// A value of this type is what the head of a PES packet says (ISO/IEC 13818-1 §2.4.3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub stream_id: u8,
    pub pts: Option<i64>,
    pub dts: Option<i64>,
    /// The stream's bytes are scrambled, though the header is not.
    pub scrambled: bool,
    /// Where the elementary stream begins, counted from the PES packet's first byte.
    pub body: usize,
}

/// What may be learned of a PES header from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    Header(Header),
    /// More bytes are needed.
    Short,
    /// These bytes begin no PES packet.
    Not,
}

/// Reads the head of a PES packet; bytes after it do no harm.
pub fn read(bytes: &[u8]) -> Reading {
    let start = bytes.get(..3).unwrap_or(bytes);
    if !b"\0\0\x01".starts_with(start) {
        return Reading::Not;
    }
    let Some(&stream_id) = bytes.get(3) else { return Reading::Short };
    // Maps, padding, private 2, ECM, EMM, DSM-CC, H.222.1 E and directories have no such header.
    if matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff) {
        return Reading::Header(Header {
            stream_id,
            pts: None,
            dts: None,
            scrambled: false,
            body: 6,
        });
    }
    let (Some(flags), Some(&length)) = (bytes.get(7), bytes.get(8)) else { return Reading::Short };
    let body = 9 + usize::from(length);
    if bytes.len() < body {
        return Reading::Short;
    }
    let stamp = |at: usize| {
        let &[a, b, c, d, e] = bytes.get(at..body)?.first_chunk()?;
        let (a, b, c) = (i64::from(a >> 1 & 7), i64::from(b), i64::from(c >> 1));
        Some(a << 30 | b << 22 | c << 15 | i64::from(d) << 7 | i64::from(e >> 1))
    };
    let pts = (flags & 0x80 != 0).then(|| stamp(9)).flatten();
    let dts = (flags & 0xc0 == 0xc0).then(|| stamp(14)).flatten();
    let scrambled = bytes.get(6).is_some_and(|byte| byte & 0x30 != 0);
    Reading::Header(Header { stream_id, pts, dts, scrambled, body })
}

/// How far a stamp lies after another one, the shorter way around.
pub fn difference(stamp: i64, other: i64) -> i64 {
    (stamp - other + WRAP / 2).rem_euclid(WRAP) - WRAP / 2
}

/// A value of this type turns stamps into times that do not wrap.
///
/// A stamp near the one before it goes on from there, over any number of wraps. After a jump it is
/// read as lying in the 26.5 hours that begin a minute before the file's first stamp. A first stamp in the last
/// minute before a wrap is negative: another program's clock may begin behind the wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    pub origin: i64,
}

impl Clock {
    /// The clock of a file whose first stamp is this one.
    pub fn from(first: i64) -> Self {
        let minute = 60 * i64::from(HERTZ);
        let wrapped = if first >= WRAP - minute { WRAP } else { 0 };
        Clock { origin: first - wrapped - minute }
    }

    pub fn time(self, stamp: i64, last: Option<i64>) -> i64 {
        let Some(last) = last else {
            return self.origin + (stamp - self.origin).rem_euclid(WRAP);
        };
        let step = difference(stamp, last);
        if step.abs() <= STEP {
            return last + step;
        }
        let turn = (last - self.origin).div_euclid(WRAP) * WRAP;
        turn + self.time(stamp, None)
    }

    /// The time of a stamp that lies any way after `last`; `None` if the shorter way is back in time.
    pub fn onward(self, stamp: i64, last: i64) -> Option<i64> {
        let time = self.time(stamp, Some(last));
        let time = if time < last { time + WRAP } else { time };
        (time - last < WRAP / 2).then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(pts: i64, dts: Option<i64>) -> Vec<u8> {
        let stamp = |mark: u8, t: i64| {
            let t = t as u64;
            vec![
                mark << 4 | (t >> 29) as u8 & 0x0e | 1,
                (t >> 22) as u8,
                (t >> 14) as u8 | 1,
                (t >> 7) as u8,
                (t << 1) as u8 | 1,
            ]
        };
        let mut bytes = vec![0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5];
        bytes.extend(stamp(2, pts));
        if let Some(dts) = dts {
            bytes[7] = 0xc0;
            bytes[8] = 10;
            bytes.extend(stamp(1, dts));
        }
        bytes
    }

    #[test]
    fn stamps_are_read_whole() {
        for stamp in [0, 1, 129_003, 1 << 15, 1 << 30, WRAP - 1] {
            for dts in [None, Some(stamp / 2)] {
                let bytes = header(stamp, dts);
                let body = bytes.len();
                let scrambled = false;
                let wanted = Header { stream_id: 0xe0, pts: Some(stamp), dts, scrambled, body };
                assert_eq!(read(&bytes), Reading::Header(wanted));
                for cut in 0..body {
                    assert_eq!(read(&bytes[..cut]), Reading::Short);
                }
            }
        }
    }

    #[test]
    fn what_is_no_header_is_said_to_be_none() {
        assert_eq!(read(&[0, 0, 2, 0xe0]), Reading::Not);
        let none = Header { stream_id: 0xe0, pts: None, dts: None, scrambled: false, body: 13 };
        let padding = Header { stream_id: 0xbe, body: 6, ..none };
        assert_eq!(read(&[0, 0, 1, 0xbe, 0, 0]), Reading::Header(padding));
        // The flag promises a stamp that the header's length has no room for.
        let bytes = [0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 4, 0x21, 0, 1, 0, 1];
        assert_eq!(read(&bytes), Reading::Header(none));
    }

    #[test]
    fn time_goes_on_over_a_wrap() {
        let first = WRAP - 90_000;
        let clock = Clock::from(first);
        assert_eq!(clock.time(first, None), -90_000);
        assert_eq!(clock.time(100, None), 100);
        let (mut last, mut stamp) = (-90_000, first);
        for _ in 0..2000 {
            stamp = (stamp + STEP / 2) % WRAP;
            let time = clock.time(stamp, Some(last));
            assert_eq!(time - last, STEP / 2);
            last = time;
        }
        assert!(last > 3 * WRAP);
    }

    #[test]
    fn onward_is_never_back() {
        let clock = Clock::from(0);
        assert_eq!(clock.onward(1000, 5), Some(1000));
        assert_eq!(clock.onward(5, 1000), None);
        assert_eq!(clock.onward(5, WRAP - 1000), Some(WRAP + 5));
        assert_eq!(clock.onward(WRAP / 4, WRAP * 7 / 8), Some(WRAP * 5 / 4));
    }

    #[test]
    fn a_jump_stays_within_the_turn() {
        let clock = Clock::from(59_857 * 90_000);
        assert_eq!(clock.time(90_000, Some(60_000 * 90_000)), WRAP + 90_000);
        assert_eq!(clock.time(70_000 * 90_000, Some(60_000 * 90_000)), 70_000 * 90_000);
        assert_eq!(clock.time(60_000 * 90_000, Some(70_000 * 90_000)), 60_000 * 90_000);
    }
}
