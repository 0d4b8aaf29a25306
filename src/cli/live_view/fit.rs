//! Lines that fit into a terminal: what matters least is left out first.

/// A part of a line, with what parts it from the one before.
pub struct Piece {
    text: String,
    /// The highest go first; 0 always stays.
    rank: u8,
}

/// A piece of a line.
pub fn piece(rank: u8, text: impl Into<String>) -> Piece {
    Piece { text: text.into(), rank }
}

/// Puts together what there is room for. The pieces of a rank go together; should the last ones be too long still, they are cut.
pub fn fit(mut pieces: Vec<Piece>, width: usize) -> String {
    let length = |pieces: &[Piece]| pieces.iter().map(|piece| piece.text.chars().count()).sum::<usize>();
    while length(&pieces) > width
        && let Some(least) = pieces.iter().map(|piece| piece.rank).max().filter(|rank| *rank > 0)
    {
        pieces.retain(|piece| piece.rank < least);
    }
    pieces.iter().flat_map(|piece| piece.text.chars()).take(width).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_least_goes_first_wherever_it_stands() {
        let at = |width| fit(vec![piece(0, "AAPL"), piece(2, " at"), piece(1, " 10"), piece(2, " now")], width);
        assert_eq!([at(14), at(13), at(7), at(6), at(3)], ["AAPL at 10 now", "AAPL 10", "AAPL 10", "AAPL", "AAP"]);
    }
}
