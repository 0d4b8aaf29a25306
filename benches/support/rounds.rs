//! The order in which competitors take their turns.

/// All of them, from the last to the first in every other round: so that nobody always reads what another has warmed up, or with what
/// another has left to the machine.
pub fn in_turn<T>(round: usize, all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all: Vec<T> = all.into_iter().collect();
    if round % 2 == 1 {
        all.reverse();
    }
    all
}
