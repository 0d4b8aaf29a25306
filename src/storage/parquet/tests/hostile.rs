//! Files with a valid checksum, made by somebody who means harm.

use parquet_format_safe::{CompressionCodec, FieldRepetitionType, FileMetaData, SchemaElement};

use super::*;

/// A good file whose footer says something else, and whose checksum is right.
fn with_footer(bytes: &[u8], change: impl FnOnce(&mut FileMetaData)) -> Vec<u8> {
    let mut metadata = footer_of(bytes);
    change(&mut metadata);
    let mut file = bytes[..bytes.len() - footer::TAIL - footer::metadata_bytes(bytes).unwrap().len()].to_vec();
    encode::append_footer(&mut file, &metadata).unwrap();
    footer::seal(&mut file).unwrap();
    file
}

/// A good file with other bytes at a place, and a checksum that is right.
fn with_bytes(bytes: &[u8], at: usize, other: &[u8]) -> Vec<u8> {
    let mut file = bytes.to_vec();
    file[at..at + other.len()].copy_from_slice(other);
    footer::seal(&mut file).unwrap();
    file
}

#[track_caller]
fn assert_refused(file: &[u8], says: &str) {
    let error = decode_commit(file).unwrap_err();
    assert!(error.to_string().contains(says), "{error}");
}

fn plain() -> Vec<u8> {
    encode_commit(&partition(), CommitNumber(17), &step(0), Compression::Uncompressed).unwrap()
}

#[test]
fn a_footer_that_is_written_anew_unchanged_is_taken() {
    assert!(decode_commit(&with_footer(&plain(), |_| {})).is_ok());
    assert!(decode_commit(&with_bytes(&plain(), 0, MAGIC)).is_ok());
}

const MAGIC: &[u8] = footer::MAGIC;

#[test]
fn a_schema_nested_ten_thousand_deep_is_refused() {
    let nested = SchemaElement {
        repetition_type: Some(FieldRepetitionType::OPTIONAL),
        num_children: Some(1),
        ..footer_of(&plain()).schema[0].clone()
    };
    assert_refused(&with_footer(&plain(), |footer| footer.schema = vec![nested; 10_000]), "columns");
}

#[test]
fn more_rows_than_the_size_of_the_file_allows_are_refused() {
    let rows = 10_000_000;
    let file = with_footer(&plain(), |footer| {
        footer.num_rows = rows;
        footer.row_groups[0].num_rows = rows;
        let pairs = footer.key_value_metadata.as_mut().unwrap();
        let stated = pairs.iter_mut().find(|pair| pair.key == "stockstream.rows").unwrap();
        stated.value = Some(rows.to_string());
    });
    assert_refused(&file, "another number of rows");
}

#[test]
fn numbers_of_rows_that_overflow_their_sum_are_refused() {
    let file = with_footer(&plain(), |footer| {
        footer.row_groups[0].num_rows = i64::MAX;
        footer.row_groups = vec![footer.row_groups[0].clone(); 4];
    });
    assert_refused(&file, "another number of rows");
}

#[test]
fn pages_outside_the_file_are_refused() {
    for (offset, size) in [(-1, 10), (4, -1), (4, i64::MAX), (i64::MAX, i64::MAX), (1 << 40, 10)] {
        let file = with_footer(&plain(), |footer| {
            let chunk = footer.row_groups[0].columns[0].meta_data.as_mut().unwrap();
            (chunk.data_page_offset, chunk.total_compressed_size) = (offset, size);
        });
        assert!(matches!(decode_commit(&file), Err(Unreadable::Damaged(_))), "{offset} {size}");
    }
}

#[test]
fn another_compression_than_ours_is_refused() {
    let file = with_footer(&plain(), |footer| {
        footer.row_groups[0].columns[0].meta_data.as_mut().unwrap().codec = CompressionCodec::BROTLI;
    });
    assert_refused(&file, "compressed in a way");
}

#[test]
fn a_missing_column_of_a_row_group_is_refused() {
    let file = with_footer(&plain(), |footer| drop(footer.row_groups[0].columns.pop()));
    assert_refused(&file, "number of columns");
}

#[test]
fn no_byte_of_a_page_makes_it_panic_whatever_it_is() {
    let good = plain();
    let pages = 4..good.len() - footer::TAIL - footer::metadata_bytes(&good).unwrap().len();
    for at in pages {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff, good[at] ^ 1] {
            let read = decode_commit(&with_bytes(&good, at, &[value]));
            assert!(value == good[at] || !matches!(read, Err(Unreadable::Newer(_))));
        }
    }
}

#[test]
fn a_file_that_compresses_too_well_is_written_uncompressed_and_read() {
    let mut rows = Vec::new();
    for number in 0..40_000 {
        rows.push(Bar { window_start: EventTime::from_micros(DAY_ZERO + number), ..bar("A", 0) });
    }
    let commit = Commit { rows: rows.into(), checkpoint: genesis() };
    let bytes = encoded(&commit);
    assert!(commit.rows.len() <= most_rows(bytes.len()), "{} bytes", bytes.len());
    assert_eq!(decode_commit(&bytes).unwrap().commit, commit);
}

#[test]
fn a_checkpoint_that_no_log_can_have_led_to_is_refused() {
    let lost = LostCommits::of(CommitNumber(7), EventTime::from_micros(DAY_ZERO), None);
    let genesis = genesis().without(&[LostCommits { until: Some(NextOffset(9)), ..lost }]);
    let good = serde_json::to_string(&genesis).unwrap();
    assert_eq!(parse_checkpoint(&good), Ok(genesis));
    for (was, is) in [
        ("\"cut\":0", "\"cut\":9223372036854775807"),
        ("\"cut\":0", "\"cut\":-1"),
        ("\"resume\":0", "\"resume\":1"),
        ("\"open_ticks\":0", "\"open_ticks\":1"),
        ("\"read\":0", "\"read\":18446744073709551615"),
        ("\"late\":0", "\"late\":2305843009213693952"),
        ("\"window\":300000000", "\"window\":0"),
        ("\"window\":300000000", "\"window\":-300000000"),
        ("\"lateness\":600000000", "\"lateness\":-1"),
        ("\"until\":9", "\"until\":-9"),
        ("\"known\":{}", "\"known\":{\"../../x\":0}"),
    ] {
        let json = good.replace(was, is);
        assert_ne!(json, good, "{was}");
        assert!(parse_checkpoint(&json).is_err(), "{is}");
    }
}
