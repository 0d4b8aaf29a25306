//! Independent streams of random numbers from one seed.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

use crate::market::symbol::Symbol;
use crate::market::time::EventTime;

/// The stream of one purpose for one stock, from an instant on (`None`: from the first start).
///
/// Seeds by a hash that is spelled out here, because the standard library's may change with any release.
pub(in crate::market) fn random_stream(
    seed: u64,
    purpose: &str,
    symbol: &Symbol,
    from: Option<EventTime>,
) -> Xoshiro256PlusPlus {
    let instant = from.map_or([0; 9], |from| {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&from.micros().to_le_bytes());
        bytes
    });
    // Neither a purpose nor a symbol holds a comma, so no two different inputs look alike.
    let parts = [purpose.as_bytes(), b",", symbol.as_str().as_bytes(), b",", &instant];
    let mut state = parts.concat().iter().fold(mixed(seed), |state, byte| mixed(state ^ u64::from(*byte)));
    let mut bytes = [0; 32];
    for word in bytes.chunks_exact_mut(8) {
        state = mixed(state);
        word.copy_from_slice(&state.to_le_bytes());
    }
    Xoshiro256PlusPlus::from_seed(bytes)
}

/// One step of SplitMix64 (Steele, Lea, Flood 2014): a bijection in which every input bit reaches every output bit.
fn mixed(state: u64) -> u64 {
    let z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
