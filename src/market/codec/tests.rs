use chrono::{DateTime, NaiveDate, Utc};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::market::time::EventTime;

/// Microseconds by chrono, for RFC 3339 texts.
fn by_chrono(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_micros())
}

fn timestamp_of(text: &str) -> Result<i64, Malformed> {
    decode(format!("{text},AAPL,1").as_bytes()).map(|tick| tick.event_time.micros())
}

fn utc(text: &str) -> i64 {
    by_chrono(text).unwrap()
}

#[test]
fn the_line_of_the_notebooks_is_a_tick() {
    let tick = decode(b"2025-05-14 15:30:00,AAPL,211.4500").unwrap();
    let event_time = EventTime::from_micros(utc("2025-05-14T15:30:00Z"));
    assert_eq!(tick, WireTick { event_time, symbol: "AAPL", price: 211.45, volume: None });
    assert_eq!(decode(b"2025-05-14 15:30:00,AAPL,211.4500,12").unwrap().volume, Some(12.0));
}

#[rstest]
#[case("2025-05-14T15:30:00Z", "2025-05-14T15:30:00Z")]
#[case("2025-05-14 15:30:00", "2025-05-14T15:30:00Z")]
#[case("2025-05-14t15:30:00z", "2025-05-14T15:30:00Z")]
#[case("2025-05-14 15:30:00.1", "2025-05-14T15:30:00.1Z")]
#[case("2025-05-14 15:30:00.1234567899", "2025-05-14T15:30:00.123456Z")]
#[case("2025-05-14 15:30:00-04:00", "2025-05-14T19:30:00Z")]
#[case("2025-05-14T15:30:00.000+05:30", "2025-05-14T10:00:00Z")]
#[case("1969-12-31 23:59:59.999999", "1969-12-31T23:59:59.999999Z")]
#[case("2024-02-29 00:00:00", "2024-02-29T00:00:00Z")]
#[case("0001-01-01 00:00:00", "0001-01-01T00:00:00Z")]
#[case("9999-12-31 23:59:59.999999", "9999-12-31T23:59:59.999999Z")]
#[case("0", "1970-01-01T00:00:00Z")]
#[case("1747236600", "2025-05-14T15:30:00Z")]
#[case("1747236600123", "2025-05-14T15:30:00.123Z")]
#[case("1747236600123456", "2025-05-14T15:30:00.123456Z")]
#[case("1747236600123456789", "2025-05-14T15:30:00.123456Z")]
#[case("99999999999", "5138-11-16T09:46:39Z")]
#[case("100000000000", "1973-03-03T09:46:40Z")]
#[case("100000000000000", "1973-03-03T09:46:40Z")]
#[case("100000000000000000", "1973-03-03T09:46:40Z")]
fn a_documented_timestamp_is_read(#[case] text: &str, #[case] instant: &str) {
    assert_eq!(timestamp_of(text), Ok(utc(instant)));
}

#[rstest]
#[case::empty("")]
#[case::blank_before(" 2025-05-14 15:30:00")]
#[case::blank_after("2025-05-14 15:30:00 ")]
#[case::quoted("\"2025-05-14 15:30:00\"")]
#[case::no_seconds("2025-05-14 15:30")]
#[case::no_time("2025-05-14")]
#[case::leap_second("2016-12-31 23:59:60")]
#[case::hour_24("2025-05-14 24:00:00")]
#[case::minute_60("2025-05-14 15:60:00")]
#[case::month_0("2025-00-14 15:30:00")]
#[case::month_13("2025-13-14 15:30:00")]
#[case::day_0("2025-05-00 15:30:00")]
#[case::day_31_of_april("2025-04-31 15:30:00")]
#[case::leap_day_of_2025("2025-02-29 15:30:00")]
#[case::leap_day_of_1900("1900-02-29 15:30:00")]
#[case::year_0("0000-12-31 23:59:59")]
#[case::year_10000("10000-01-01 00:00:00")]
#[case::year_10000_in_utc("9999-12-31 23:59:59-00:01")]
#[case::point_without_digits("2025-05-14 15:30:00.")]
#[case::offset_without_colon("2025-05-14 15:30:00+0000")]
#[case::offset_of_a_day("2025-05-14 15:30:00+24:00")]
#[case::offset_of_60_minutes("2025-05-14 15:30:00+01:60")]
#[case::blank_before_offset("2025-05-14 15:30:00 +01:00")]
#[case::zone_name("2025-05-14 15:30:00 UTC")]
#[case::other_separator("2025-05-14_15:30:00")]
#[case::slashes("2025/05/14 15:30:00")]
#[case::negative_epoch("-1")]
#[case::signed_epoch("+1747236600")]
#[case::epoch_with_decimals("1747236600.5")]
#[case::epoch_of_20_digits("10000000000000000000")]
fn any_other_timestamp_is_malformed(#[case] text: &str) {
    assert_eq!(timestamp_of(text), Err(Malformed::Timestamp));
}

#[test]
fn every_month_of_every_year_ends_where_chrono_says() {
    for (year, month) in (1..=9999).flat_map(|year| (1..=12).map(move |month| (year, month))) {
        for day in [1, 28, 29, 30, 31, 32] {
            let date = NaiveDate::from_ymd_opt(year, month, day).and_then(|date| date.and_hms_opt(0, 0, 0));
            let text = format!("{year:04}-{month:02}-{day:02} 00:00:00");
            let ours = timestamp_of(&text).ok();
            assert_eq!(ours, date.map(|date| date.and_utc().timestamp_micros()), "{text}");
        }
    }
}

#[rstest]
#[case::empty(b"".as_slice(), Malformed::Fields)]
#[case::two_fields(b"0,AAPL", Malformed::Fields)]
#[case::five_fields(b"0,AAPL,1,2,3", Malformed::Fields)]
#[case::other_separator(b"0;AAPL;1", Malformed::Fields)]
#[case::no_symbol(b"0,,1", Malformed::Symbol)]
#[case::blank_before_symbol(b"0, AAPL,1", Malformed::Symbol)]
#[case::quoted_symbol(b"0,\"AAPL\",1", Malformed::Symbol)]
#[case::control_in_symbol(b"0,AA\0PL,1", Malformed::Symbol)]
#[case::no_price(b"0,AAPL,", Malformed::Price)]
#[case::zero_price(b"0,AAPL,0", Malformed::Price)]
#[case::negative_zero_price(b"0,AAPL,-0.0", Malformed::Price)]
#[case::negative_price(b"0,AAPL,-211.45", Malformed::Price)]
#[case::price_is_nan(b"0,AAPL,NaN", Malformed::Price)]
#[case::price_is_infinite(b"0,AAPL,inf", Malformed::Price)]
#[case::price_overflows(b"0,AAPL,1e999", Malformed::Price)]
#[case::price_underflows(b"0,AAPL,1e-999", Malformed::Price)]
#[case::hexadecimal_price(b"0,AAPL,0x10", Malformed::Price)]
#[case::price_with_two_points(b"0,AAPL,1.2.3", Malformed::Price)]
#[case::price_of_a_point(b"0,AAPL,.", Malformed::Price)]
#[case::blank_before_price(b"0,AAPL, 1", Malformed::Price)]
#[case::blank_after_price(b"0,AAPL,1 ", Malformed::Price)]
#[case::two_line_ends(b"0,AAPL,1\n\n", Malformed::Price)]
#[case::line_ends_swapped(b"0,AAPL,1\n\r", Malformed::Price)]
#[case::empty_volume(b"0,AAPL,1,", Malformed::Volume)]
#[case::negative_volume(b"0,AAPL,1,-1", Malformed::Volume)]
#[case::infinite_volume(b"0,AAPL,1,infinity", Malformed::Volume)]
#[case::not_utf8_in_symbol(b"0,A\xff,1", Malformed::NotUtf8)]
#[case::not_utf8_in_price(b"0,AAPL,1\xff", Malformed::NotUtf8)]
#[case::not_utf8_at_all(b"\xff\xfe\xfd", Malformed::NotUtf8)]
fn a_broken_line_has_its_reason(#[case] payload: &[u8], #[case] reason: Malformed) {
    assert_eq!(decode(payload), Err(reason));
}

#[test]
fn one_line_end_is_tolerated() {
    for end in ["", "\n", "\r", "\r\n"] {
        assert_eq!(decode(format!("0,AAPL,1{end}").as_bytes()).map(|tick| tick.price), Ok(1.0), "{end:?}");
    }
}

#[test]
fn a_symbol_of_any_form_is_left_to_the_consumer() {
    for symbol in ["aapl", "../../x", "日経", "A234567890123456789"] {
        assert_eq!(decode(format!("0,{symbol},1").as_bytes()).map(|tick| tick.symbol), Ok(symbol));
    }
}

#[test]
fn a_short_epoch_is_not_taken_for_a_date_because_of_what_follows_it() {
    let tick = decode(b"12,B-A,211.4500,100").unwrap();
    assert_eq!((tick.event_time.micros(), tick.symbol, tick.volume), (12_000_000, "B-A", Some(100.0)));
    assert_eq!(decode(b"1,BK-A,1").map(|tick| tick.symbol), Ok("BK-A"));
}

#[test]
fn exactly_4_kib_is_the_limit() {
    let line = |symbol: usize| format!("0,{},1", "A".repeat(symbol));
    assert!(decode(line(MAX_PAYLOAD - 4).as_bytes()).is_ok());
    assert_eq!(decode(line(MAX_PAYLOAD - 3).as_bytes()), Err(Malformed::TooLong));
}

#[test]
fn a_negative_zero_volume_becomes_zero() {
    let volume = decode(b"0,AAPL,1,-0").unwrap().volume.unwrap();
    assert!(volume == 0.0 && volume.is_sign_positive());
}

#[test]
fn a_file_may_begin_with_a_mark_and_a_header() {
    let content = |line: &'static [u8], number| file_line(line, number).content;
    assert_eq!(
        file_line(b"\xef\xbb\xbftimestamp,symbol,price\r\n", 1),
        FileLine { had_byte_order_mark: true, content: LineContent::Header }
    );
    assert_eq!(content(b"timestamp,symbol,price,volume", 1), LineContent::Header);
    assert_eq!(content(b"\xef\xbb\xbf0,AAPL,1", 1), LineContent::Payload(b"0,AAPL,1"));
    assert_eq!(content(b"timestamp,symbol,price", 2), LineContent::Payload(b"timestamp,symbol,price"));
    assert_eq!(content(b"\xef\xbb\xbf", 2), LineContent::Payload(b"\xef\xbb\xbf"));
    for empty in [b"".as_slice(), b"\n", b"\r\n", b"\r"] {
        assert_eq!(file_line(empty, 7).content, LineContent::Empty);
    }
    assert_eq!(content(b" ", 7), LineContent::Payload(b" "));
}

#[test]
fn a_huge_line_of_a_file_is_cut_and_still_seen_as_too_long() {
    let line = vec![b'A'; 1 << 20];
    let LineContent::Payload(payload) = file_line(&line, 3).content else { panic!("not a payload") };
    assert_eq!(payload.len(), 4097);
    assert_eq!(decode(payload), Err(Malformed::TooLong));
    let fits = [vec![b'A'; MAX_PAYLOAD], b"\r\n".to_vec()].concat();
    assert_eq!(file_line(&fits, 3).content, LineContent::Payload(&fits[..MAX_PAYLOAD]));
}

/// Valid RFC 3339, all of its freedoms but the leap second.
fn rfc_3339() -> impl Strategy<Value = String> {
    let date_time = -62_135_510_400_i64..253_402_214_400; // a day inside the limits, for the offset
    let offset = prop_oneof!["[Zz]", "[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]"];
    (date_time, "[Tt]", "(\\.[0-9]{1,12})?", offset).prop_map(|(seconds, separator, fraction, offset)| {
        let time = DateTime::<Utc>::from_timestamp(seconds, 0).unwrap();
        format!("{}{separator}{}{fraction}{offset}", time.format("%Y-%m-%d"), time.format("%H:%M:%S"))
    })
}

proptest! {
    #[test]
    fn every_rfc_3339_text_is_read_as_chrono_reads_it(text in rfc_3339()) {
        prop_assert_eq!(timestamp_of(&text).ok(), by_chrono(&text), "{}", text);
    }

    #[test]
    fn a_text_with_one_wrong_byte_is_read_as_chrono_reads_it(text in rfc_3339(), at: prop::sample::Index, byte in 32_u8..127) {
        let mut text = text.into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let text = String::from_utf8(text).unwrap();
        let ours = timestamp_of(&text).ok();
        // What chrono also takes: a second of 60, years outside the limits; what we take in addition: no offset.
        let without_offset = by_chrono(&format!("{text}Z"));
        let expected = by_chrono(&text).or(without_offset);
        prop_assume!(!text.contains(":60") && !text.starts_with("0000"));
        prop_assert_eq!(ours, expected, "{}", text);
    }

    #[test]
    fn every_double_is_read_bit_for_bit(bits: u64, decimals in 0_usize..12) {
        let number = f64::from_bits(bits).abs();
        prop_assume!(number.is_finite());
        let short = (bits % 100_000_000) as f64 / 1000.0;
        let plain = [format!("{number}"), format!("{number:e}"), format!("{short:.decimals$}"), format!("{bits}")];
        for text in plain.iter().flat_map(|text| [text.clone(), format!("-{text}")]) {
            let std: f64 = text.parse().unwrap();
            prop_assert_eq!(number::parse(text.as_bytes()).map(f64::to_bits), Some(std.to_bits()), "{}", text);
        }
    }

    #[test]
    fn a_number_is_read_exactly_when_the_standard_library_reads_a_finite_one(text in "[-+.eE0-9infatyINFATY_x ]{0,24}") {
        let std = text.parse::<f64>().ok().filter(|number| number.is_finite());
        prop_assert_eq!(number::parse(text.as_bytes()).map(f64::to_bits), std.map(f64::to_bits), "{}", text);
    }

    #[test]
    fn what_is_written_is_read_back(
        micros in -62_135_596_800_000_000_i64..=253_402_300_799_999_999,
        symbol in "[A-Z0-9][A-Z0-9.^=_-]{0,15}",
        price in prop::num::f64::POSITIVE | prop::num::f64::SUBNORMAL,
        volume in prop::option::of(prop::num::f64::POSITIVE | prop::num::f64::ZERO),
    ) {
        let (price, volume) = (price.abs(), volume.map(f64::abs));
        let tick = WireTick { event_time: EventTime::from_micros(micros), symbol: &symbol, price, volume };
        let mut line = Vec::new();
        encode(&tick, &mut line);
        prop_assert_eq!(decode(&line), Ok(tick));
    }

    #[test]
    fn no_payload_makes_it_panic(payload: Vec<u8>, fields in "[-0-9:., TZ+eA\"\u{e9}]{0,60}") {
        let whole = decode(&payload);
        prop_assert!(whole.is_err() || str::from_utf8(&payload).is_ok());
        let _ = decode(fields.as_bytes());
        let _ = timestamp_of(&fields);
    }
}
