//! Timestamps by hand: nearly every tick has the same fixed layout, and reading it must cost less than fetching it.

use crate::market::time::EventTime;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z and the last microsecond of 9999: what other readers of the lake can print too.
const YEARS_1_TO_9999: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// Reads the timestamp that a line begins with, and its comma; the second value is what follows.
///
/// `None` unless it is a timestamp of the wire format whose instant, in UTC, lies in the years 1 to 9999.
pub(super) fn parse_prefix(line: &[u8]) -> Option<(EventTime, &[u8])> {
    let date_time = line.split_first_chunk().and_then(|(text, rest)| Some((seconds(text)?, rest)));
    let (micros, rest) = match date_time {
        Some((seconds, rest)) => {
            let (fraction_micros, rest) = fraction(rest)?;
            let (offset_seconds, rest) = offset(rest)?;
            ((seconds - offset_seconds) * MICROS_PER_SECOND + fraction_micros, rest)
        }
        None => epoch_micros(line)?,
    };
    let rest = rest.strip_prefix(b",")?;
    YEARS_1_TO_9999.contains(&micros).then_some((EventTime::from_micros(micros), rest))
}

/// `YYYY-MM-DD HH:MM:SS` with a blank, `T` or `t` between, in seconds since the epoch.
fn seconds(text: &[u8; 19]) -> Option<i64> {
    const YEAR_MONTH: Layout = Layout::new(b"0000-00-");
    const DAY: Layout = Layout::new(b"00*00:00");
    const TIME: Layout = Layout::new(b"00:00:00");
    let eight = |from: usize| std::array::from_fn(|at| text[from + at]);
    let [century, _, year, _, _, month, ..] = YEAR_MONTH.pairs(eight(0))?;
    let [day, ..] = DAY.pairs(eight(8))?;
    let [hour, _, _, minute, _, _, second, _] = TIME.pairs(eight(11))?;
    let year = u32::from(century) * 100 + u32::from(year);
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59
        && matches!(text[10], b' ' | b'T' | b't');
    let of_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    in_range.then(|| days_from_civil(year, u32::from(month), u32::from(day)) * 86_400 + of_day)
}

/// Eight bytes of a fixed layout, checked and read at once as the lanes of one word.
struct Layout {
    /// What is left of a digit is its value, of anything else that is as it should be 0, of a lane that may hold anything too.
    xor: u64,
    mask: u64,
    /// Added to what is left, it carries out of a lane's low half exactly when the lane is wrong.
    carry: u64,
}

impl Layout {
    /// In the pattern `0` stands for a digit, `*` for any byte, everything else for itself.
    const fn new(pattern: &[u8; 8]) -> Self {
        let (mut mask, mut carry, mut at) = ([0xff; 8], [0x0f; 8], 0);
        while at < 8 {
            match pattern[at] {
                b'0' => carry[at] = 6,
                b'*' => (mask[at], carry[at]) = (0, 0),
                _ => {}
            }
            at += 1;
        }
        let (mask, carry) = (u64::from_le_bytes(mask), u64::from_le_bytes(carry));
        Self { xor: u64::from_le_bytes(*pattern), mask, carry }
    }

    /// For each byte the number that it makes with the next one, meaningful where both are digits.
    fn pairs(&self, text: [u8; 8]) -> Option<[u8; 8]> {
        const HIGH_HALVES: u64 = 0xf0f0_f0f0_f0f0_f0f0;
        let lanes = (u64::from_le_bytes(text) ^ self.xor) & self.mask;
        let wrong = (lanes | lanes.wrapping_add(self.carry)) & HIGH_HALVES;
        // No lane is above 9, so no product and no sum leaves its lane.
        (wrong == 0).then(|| (lanes * 10 + (lanes >> 8)).to_le_bytes())
    }
}

fn days_in_month(year: u32, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch of a date of the proleptic Gregorian calendar. Counts years from March, so that the leap day is the
/// last of its year, and from one cycle of 400 years (146,097 days) before year 0, so that none is negative.
fn days_from_civil(year: u32, month: u32, day: u32) -> i64 {
    let year = year + 400 - u32::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    i64::from(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year) - 719_468 - 146_097
}

/// Microseconds of a leading `.digits`, zero without one, and what follows. Digits beyond the sixth are cut.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let (mut micros, mut count) = (0, 0);
    while let Some(digit @ b'0'..=b'9') = digits.get(count) {
        if count < 6 {
            micros = micros * 10 + i64::from(digit - b'0');
        }
        count += 1;
    }
    let missing = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1][count.min(6)];
    (count > 0).then(|| (micros * missing, &digits[count..]))
}

/// Seconds of a leading `Z`, `z` or `±HH:MM`, zero without one, and what follows.
fn offset(rest: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, rest) = match rest {
        [b'Z' | b'z', rest @ ..] => return Some((0, rest)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return Some((0, rest)),
    };
    let &[h1 @ b'0'..=b'2', h2 @ b'0'..=b'9', b':', m1 @ b'0'..=b'5', m2 @ b'0'..=b'9', ref rest @ ..] = rest else {
        return None;
    };
    let two = |tens: u8, ones: u8| i64::from((tens - b'0') * 10 + ones - b'0');
    let hours = two(h1, h2);
    (hours <= 23).then(|| (sign * (hours * 3600 + two(m1, m2) * 60), rest))
}

/// A leading unsigned integer of at most 19 digits, whose size tells the unit, and what follows.
fn epoch_micros(line: &[u8]) -> Option<(i64, &[u8])> {
    let (mut epoch, mut count) = (0_u64, 0);
    while let Some(digit @ b'0'..=b'9') = line.get(count).filter(|_| count < 19) {
        epoch = epoch * 10 + u64::from(digit - b'0');
        count += 1;
    }
    let micros = match epoch {
        _ if count == 0 => return None,
        0..100_000_000_000 => epoch * 1_000_000,
        100_000_000_000..100_000_000_000_000 => epoch * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => epoch,
        _ => epoch / 1_000,
    };
    Some((i64::try_from(micros).ok()?, &line[count..]))
}
