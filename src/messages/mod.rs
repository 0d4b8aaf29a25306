//! What the actors say to each other: one concept a file. Data and the offsets they came from travel together; `Debug` prints
//! counts, not contents. Commands are imperative (`CloseWindows`), facts are in the past tense (`BarsCommitted`).

pub mod barrier;
pub mod commits;
pub mod credit;
pub mod lifecycle;
pub mod live;
pub mod ownership;
pub mod replay;
pub mod stocks;
pub mod tick_batch;
