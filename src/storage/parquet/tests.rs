use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::market::bar::Bar;
use crate::market::checkpoint::NextOffset;
use crate::market::lost_commits::LostCommits;
use crate::market::symbol::Symbol;
use crate::market::time::EventTime;
use crate::storage::testing::{DAY_ZERO, bar, features_of, genesis, partition, step};

mod hostile;

const ALL: [Compression; 3] = [Compression::Zstd, Compression::Snappy, Compression::Uncompressed];

fn encoded(commit: &Commit) -> Vec<u8> {
    encode_commit(&partition(), CommitNumber(17), commit, Compression::Zstd).unwrap()
}

fn footer_of(bytes: &[u8]) -> parquet_format_safe::FileMetaData {
    let metadata = footer::metadata_bytes(bytes).unwrap();
    let mut protocol = parquet_format_safe::thrift::protocol::TCompactInputProtocol::new(metadata, 1 << 20);
    parquet_format_safe::FileMetaData::read_from_in_protocol(&mut protocol).unwrap()
}

fn any_bar() -> impl Strategy<Value = Bar> {
    let price = || 0.0001f64..1e9;
    let amount = || proptest::option::of(prop_oneof![0.0f64..1e12, Just(0.0)]);
    let keys = ("[A-Z0-9][A-Z0-9.^=_-]{0,15}", any::<i64>());
    (keys, [price(), price(), price(), price()], amount(), amount(), any::<i64>()).prop_map(
        |((symbol, micros), [open, high, low, close], volume, vwap, ticks)| Bar {
            symbol: Symbol::new(&symbol).unwrap(),
            window_start: EventTime::from_micros(micros),
            open,
            high,
            low,
            close,
            volume,
            vwap,
            ticks,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bars_read_back_as_they_were_written(
        rows in proptest::collection::vec(any_bar(), 0..70),
        which in 0usize..3,
        cut in 0i64..=1 << 60,
    ) {
        let mut checkpoint = genesis();
        checkpoint.cut.0 = cut;
        let commit = Commit { rows: rows.into(), checkpoint };
        let bytes = encode_commit(&partition(), CommitNumber(3), &commit, ALL[which]).unwrap();
        let read = decode_commit(&bytes).unwrap();
        prop_assert_eq!(read, CommitFile { partition: partition(), number: CommitNumber(3), commit });
    }

    #[test]
    fn any_features_read_back_as_they_were_written(
        values in proptest::collection::vec(proptest::option::of(-1e9f64..1e9), 9 * 20),
        which in 0usize..3,
    ) {
        let rows: Vec<FeatureRow> = values
            .chunks(9)
            .enumerate()
            .map(|(i, v)| FeatureRow {
                williams_r: v[0],
                ultimate_osc: v[1],
                rsi: v[2],
                ema: v[3],
                close_lags: [v[4], v[5], v[6], v[7], v[8]],
                ..features_of(&step(i as i64))[0].clone()
            })
            .collect();
        let bytes = encode_features(&partition(), CommitNumber(3), &rows, ALL[which]).unwrap();
        prop_assert_eq!(decode_features(&bytes).unwrap().rows, rows);
    }
}

#[test]
fn rows_of_many_pages_and_stocks_read_back_with_what_is_missing() {
    let row = |number: usize| Bar {
        window_start: EventTime::from_micros(number as i64),
        volume: (!number.is_multiple_of(3)).then_some(number as f64),
        // Pages without a value, with some, with all.
        vwap: (number > 20_000).then_some(number as f64),
        ..bar(["A", "BRK.B", "C"][number / 20_001], 0)
    };
    let commit = Commit { rows: (0..60_000).map(row).collect(), checkpoint: genesis() };
    for compression in ALL {
        let bytes = encode_commit(&partition(), CommitNumber(17), &commit, compression).unwrap();
        assert_eq!(decode_commit(&bytes).unwrap().commit, commit);
    }
}

#[test]
fn files_of_an_earlier_writer_are_read() {
    for bytes in [
        &include_bytes!("../../../tests/fuzz/__fuzz__/lake_file/corpus/bars_plain.parquet")[..],
        include_bytes!("../../../tests/fuzz/__fuzz__/lake_file/corpus/bars_snappy.parquet"),
        include_bytes!("../../../tests/fuzz/__fuzz__/lake_file/corpus/bars_zstd.parquet"),
    ] {
        let rows = decode_commit(bytes).unwrap().commit.rows;
        assert_eq!((rows.len(), rows[32].symbol.as_str(), rows[32].volume), (33, "MSFT", None));
        assert_eq!((rows[1].vwap, rows[1].close), (Some(211.9), 212.25));
    }
    let features = include_bytes!("../../../tests/fuzz/__fuzz__/lake_file/corpus/features_zstd.parquet");
    let rows = decode_features(features).unwrap().rows;
    assert_eq!((rows.len(), rows[0].rsi, rows[0].close_lags[0]), (33, None, None));
    assert!(rows[19].rsi.is_some() && rows[19].close_lags[4].is_some());
}

#[test]
fn a_footer_has_column_orders_and_the_minimum_and_maximum_of_every_column() {
    let footer = footer_of(&encoded(&step(0)));
    assert_eq!(footer.column_orders.map(|orders| orders.len()), Some(9));
    for column in &footer.row_groups[0].columns {
        let chunk = column.meta_data.as_ref().unwrap();
        let statistics = chunk.statistics.as_ref().unwrap();
        assert!(statistics.min_value.is_some() && statistics.max_value.is_some(), "{:?}", chunk.path_in_schema);
        assert_eq!((column.column_index_offset, column.offset_index_offset), (None, None));
    }
    let company = footer.row_groups[0].columns[1].meta_data.as_ref().unwrap().statistics.as_ref().unwrap();
    assert_eq!(company.max_value.as_deref(), Some(&b"MSFT"[..]));
}

#[test]
fn an_empty_commit_has_the_columns_and_the_checkpoint() {
    let commit = Commit { rows: [].into(), checkpoint: genesis() };
    let bytes = encoded(&commit);
    assert_eq!(decode_commit(&bytes).unwrap().commit, commit);
    assert_eq!(footer_of(&bytes).schema, footer_of(&encoded(&step(0))).schema);
}

#[test]
fn not_a_number_becomes_null_and_zero_has_no_sign() {
    let strange = Bar { volume: Some(-0.0), vwap: Some(f64::NAN), ..bar("A", 0) };
    let commit = Commit { rows: vec![strange].into(), checkpoint: genesis() };
    let read = decode_commit(&encoded(&commit)).unwrap().commit;
    assert_eq!(read.rows[0].vwap, None);
    assert!(read.rows[0].volume.unwrap().is_sign_positive());
    let price = Bar { high: f64::NAN, ..bar("A", 0) };
    let commit = Commit { rows: vec![price].into(), checkpoint: genesis() };
    let refused = encode_commit(&partition(), CommitNumber(1), &commit, Compression::Zstd).unwrap_err();
    assert!(refused.to_string().contains("the high of A"), "{refused}");
}

#[test]
fn every_flipped_byte_is_noticed() {
    let bytes = encoded(&step(0));
    for i in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[i] ^= 1 << (i % 8);
        assert!(matches!(decode_commit(&flipped), Err(Unreadable::Damaged(_))), "byte {i}");
    }
}

#[test]
fn every_torn_file_is_noticed() {
    let bytes = encoded(&step(0));
    for length in 0..bytes.len() {
        assert!(matches!(decode_commit(&bytes[..length]), Err(Unreadable::Damaged(_))), "{length} bytes");
    }
}

#[test]
fn a_foreign_file_is_told_from_ours() {
    let mut foreign = Cursor::new(Vec::new());
    let mut writer = arrow2::io::parquet::write::FileWriter::try_new(
        &mut foreign,
        rows::bars_schema(),
        arrow2::io::parquet::write::WriteOptions {
            write_statistics: false,
            version: arrow2::io::parquet::write::Version::V1,
            compression: arrow2::io::parquet::write::CompressionOptions::Uncompressed,
            data_pagesize_limit: None,
        },
    )
    .unwrap();
    writer.end(None).unwrap();
    let error = decode_commit(&foreign.into_inner()).unwrap_err();
    assert!(error.to_string().contains("no checksum of stockstream"), "{error}");
    assert!(decode_commit(b"PAR1 no parquet at all PAR1").is_err());
}

#[test]
fn one_dataset_is_not_read_as_the_other() {
    let features = encode_features(&partition(), CommitNumber(1), &features_of(&step(0)), Compression::Zstd).unwrap();
    let error = decode_commit(&features).unwrap_err();
    assert!(error.to_string().contains("columns"), "{error}");
    assert!(decode_features(&encoded(&step(0))).is_err());
}

/// Where a file says its format version, which is one digit.
fn format_place(bytes: &[u8]) -> usize {
    let key = b"stockstream.format\x18\x01";
    bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len()
}

fn with_format(mut bytes: Vec<u8>, version: u8) -> Vec<u8> {
    let at = format_place(&bytes);
    bytes[at] = version;
    footer::seal(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_later_format_is_not_taken_for_damage() {
    assert_eq!(decode_commit(&with_format(encoded(&step(0)), b'9')), Err(Unreadable::Newer(9)));
}

#[test]
fn only_a_commit_that_lists_losses_is_of_a_version_that_older_programs_leave_alone() {
    let mut commit = step(0);
    assert_eq!(encoded(&commit)[format_place(&encoded(&commit))], b'1');
    let lost = LostCommits::of(CommitNumber(7), EventTime::from_micros(DAY_ZERO), None);
    for until in [None, Some(NextOffset(9))] {
        commit.checkpoint.lost = vec![LostCommits { until, ..lost.clone() }];
        let bytes = encoded(&commit);
        assert_eq!(bytes[format_place(&bytes)], b'2');
        assert_eq!(decode_commit(&bytes).unwrap().commit, commit);
        assert_eq!(decode_commit(&with_format(bytes, b'1')).unwrap().commit, commit, "as it was written once");
    }
}

#[test]
fn a_loss_as_it_was_written_once_is_read_whole() {
    let lost = r#""forced":[],"lost":[{"first":7,"last":7,"watermark":9,"bars":{"count":6,"stocks":["A","B","C","D","E","F"],"oldest":9,"youngest":9}}]"#;
    let json = serde_json::to_string(&genesis()).unwrap().replace("\"forced\":[]", lost);
    let checkpoint = parse_checkpoint(&json).unwrap();
    assert!(
        checkpoint.lost[0].to_string().contains("6 bars of A, B, C, D, E and 1 more stock,"),
        "{}",
        checkpoint.lost[0]
    );
    assert_eq!(serde_json::to_string(&checkpoint).unwrap(), json, "and written again as it was");
}

#[test]
fn two_files_of_the_same_commit_differ() {
    assert_ne!(encoded(&step(0)), encoded(&step(0)));
    assert_eq!(step(0).rows[0].window_start, EventTime::from_micros(DAY_ZERO));
}
