//! Records that come to no bar, as long as a tick of a stock with four letters.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use stockstream::market::symbol::Symbol;

/// Why a record comes to no bar; named as the counters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BadKind {
    /// Found out at its last field.
    Malformed,
    /// By years, once a tick has been read.
    Late,
    Future,
    Unknown,
}

impl BadKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::Late, Self::Future, Self::Unknown];

    /// The counter of the summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Late => "late",
            Self::Future => "future",
            Self::Unknown => "unknown",
        }
    }

    /// Writes one into `buffer`, for the partition of this stock.
    pub fn write(self, symbol: &Symbol, buffer: &mut Vec<u8>) {
        let symbol = symbol.as_str();
        buffer.clear();
        match self {
            Self::Malformed => write!(buffer, "2024-01-01 00:00:00,{symbol},-100.123"),
            Self::Late => write!(buffer, "2014-01-01 00:00:00,{symbol},100.1234"),
            Self::Future => write!(buffer, "2114-01-01 00:00:00,{symbol},100.1234"),
            Self::Unknown => write!(buffer, "2024-01-01 00:00:00,NONE,100.1234"),
        }
        .expect("writing to a Vec cannot fail");
    }
}
