//! Which partition a key belongs to: librdkafka's `murmur2_random`, which is the Java client's default for keyed records.

/// The partition of a keyed record.
///
/// # Panics
/// When `partitions` is not positive.
pub fn partition_of_key(key: &[u8], partitions: i32) -> i32 {
    assert!(partitions > 0, "a topic has at least one partition");
    let positive = i32::try_from(murmur2(key) & 0x7fff_ffff).expect("31 bits fit");
    positive % partitions
}

/// MurmurHash2 (Austin Appleby, public domain) with Kafka's seed.
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).expect("a key is shorter than 4 GiB");
    let mut hash = SEED ^ length;
    let (words, tail) = key.as_chunks::<4>();
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        mixed ^= mixed >> 24;
        hash = hash.wrapping_mul(M) ^ mixed.wrapping_mul(M);
    }
    if !tail.is_empty() {
        for (place, byte) in tail.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_equals_the_vectors_of_the_java_client() {
        let vectors: [(&str, u32); 8] = [
            ("kafka", 0xd067_cf64),
            ("giberish123456789", 0x8f55_2b0c),
            ("1234", 0x9fc9_7b14),
            ("234", 0xe7c0_09ca),
            ("34", 0x8739_30da),
            ("4", 0x5a4b_5ca1),
            ("PreAmbleWillBeRemoved,ThePrePartThatIs", 0x7842_4f1c),
            ("", 0x106e_08d9),
        ];
        for (key, hash) in vectors {
            assert_eq!(murmur2(key.as_bytes()), hash, "{key:?}");
        }
    }

    #[test]
    fn every_partition_gets_keys_and_none_beyond() {
        let partitions: std::collections::BTreeSet<i32> =
            (0..1000).map(|number| partition_of_key(format!("S{number}").as_bytes(), 7)).collect();
        assert_eq!(partitions, (0..7).collect());
    }
}
