//! Timestamps by hand: nearly every tick has the same fixed layout, and reading it must cost less than fetching it.

use crate::market::time::EventTime;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z and the last microsecond of 9999: what other readers of the lake can print too.
const YEARS_1_TO_9999: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// `None` unless the text is a timestamp of the wire format whose instant, in UTC, lies in the years 1 to 9999.
pub(super) fn parse(text: &[u8]) -> Option<EventTime> {
    let micros = match text.split_first_chunk::<19>() {
        Some((date_time, rest)) if date_time[4] == b'-' => {
            let (fraction_micros, offset) = fraction(rest)?;
            (seconds(date_time)? - offset_seconds(offset)?) * MICROS_PER_SECOND + fraction_micros
        }
        _ => epoch_micros(text)?,
    };
    YEARS_1_TO_9999.contains(&micros).then_some(EventTime::from_micros(micros))
}

/// `YYYY-MM-DD HH:MM:SS` with a blank, `T` or `t` between, in seconds since the epoch.
fn seconds(text: &[u8; 19]) -> Option<i64> {
    let mut all_digits = true;
    let mut number = |from: usize, to: usize| {
        text[from..to].iter().fold(0, |number, byte| {
            let digit = byte.wrapping_sub(b'0');
            all_digits &= digit <= 9;
            number * 10 + i64::from(digit)
        })
    };
    let (year, month, day) = (number(0, 4), number(5, 7), number(8, 10));
    let (hour, minute, second) = (number(11, 13), number(14, 16), number(17, 19));
    let separated = text[4] == b'-'
        && text[7] == b'-'
        && matches!(text[10], b' ' | b'T' | b't')
        && text[13] == b':'
        && text[16] == b':';
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 59;
    (all_digits && separated && in_range)
        .then(|| days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since the epoch of a date of the proleptic Gregorian calendar. Counts years from March, so that the leap day is the
/// last of its year; 400 such years have 146,097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Microseconds of a leading `.digits`, zero without one, and what follows. Digits beyond the sixth are cut.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    let padded = digits.iter().chain(std::iter::repeat(&b'0')).take(6);
    (count > 0).then(|| (padded.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')), rest))
}

/// Nothing, `Z`, `z` or `±HH:MM`.
fn offset_seconds(text: &[u8]) -> Option<i64> {
    let (sign, offset) = match text {
        [] | [b'Z' | b'z'] => return Some(0),
        [b'+', offset @ ..] => (1, offset),
        [b'-', offset @ ..] => (-1, offset),
        _ => return None,
    };
    let &[h1 @ b'0'..=b'2', h2 @ b'0'..=b'9', b':', m1 @ b'0'..=b'5', m2 @ b'0'..=b'9'] = offset else {
        return None;
    };
    let two = |tens: u8, ones: u8| i64::from((tens - b'0') * 10 + ones - b'0');
    let hours = two(h1, h2);
    (hours <= 23).then(|| sign * (hours * 3600 + two(m1, m2) * 60))
}

/// An unsigned integer of at most 19 digits; its size tells the unit.
fn epoch_micros(text: &[u8]) -> Option<i64> {
    if !(1..=19).contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let epoch = text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    let micros = match epoch {
        0..100_000_000_000 => epoch * 1_000_000,
        100_000_000_000..100_000_000_000_000 => epoch * 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => epoch,
        _ => epoch / 1_000,
    };
    i64::try_from(micros).ok()
}
