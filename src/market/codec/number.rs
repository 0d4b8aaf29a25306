//! Decimal numbers: the same value as `str::parse::<f64>`, sooner for the short ones that prices are.

/// Powers of ten that a double holds exactly and a short decimal can need.
const POWERS_OF_TEN: [f64; 18] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17];
/// Integers up to here are doubles.
const EXACT: u64 = 1 << 53;

/// `None` unless the text is a finite number in decimal or exponent notation.
pub(super) fn parse(text: &[u8]) -> Option<f64> {
    short_decimal(text).or_else(|| any_decimal(text))
}

/// Digits with at most one point among them, perhaps behind a minus. Both operands of the division are exact, so its one rounding is the
/// right one.
fn short_decimal(text: &[u8]) -> Option<f64> {
    if text.len() >= POWERS_OF_TEN.len() {
        return None;
    }
    // No price and no volume is below 0: a line that says so is malformed, and must not cost more than a tick.
    let (sign, text) = match text {
        [b'-', text @ ..] => (-1.0, text),
        _ => (1.0, text),
    };
    let (mut mantissa, mut point) = (0_u64, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let decimals = point.map_or(0, |point| text.len() - point - 1);
    let digits = text.len() - usize::from(point.is_some());
    (digits > 0 && mantissa <= EXACT).then(|| sign * (mantissa as f64 / POWERS_OF_TEN[decimals]))
}

fn any_decimal(text: &[u8]) -> Option<f64> {
    // `str::parse` also reads words such as `inf` and `nan`.
    let plain = text.iter().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let number: f64 = str::from_utf8(text).ok().filter(|_| plain)?.parse().ok()?;
    number.is_finite().then_some(number)
}
