//! Stopping, in order, each step acknowledged; and failures that end the process.

use actix::Message;

use crate::market::time::EventTime;
use crate::run_summary::{Latencies, RunSummary};

/// What happens to open windows when the stream is drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenWindows {
    /// The log ends here (replay, embedded broker): they close.
    Close,
    /// The log outlives us (a cluster): their ticks are read again at the next start.
    Keep,
}

/// Coordinator to the consumer: read every partition to its end as it is now, make a last barrier, then say [`Drained`].
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct DrainStream {
    pub open_windows: OpenWindows,
    pub read: ReadUntil,
}

/// How far a draining consumer still reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadUntil {
    /// To the end that each partition has at this moment, all partitions.
    End,
    /// Not at all: a last barrier where the position is.
    Here,
}

/// Consumer to the coordinator: everything that was to be read is committed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drained;

/// Coordinator to a producer: publish no more. Answered with the last tick that was handed over.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Option<LastTick>")]
pub struct StopProducing;

/// Where a producer stopped, so that the next one of the stock goes on there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastTick {
    pub event_time: EventTime,
    pub price: f64,
}

/// Coordinator to the consumer: close the connection; answered when it is closed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CloseSource;

/// Coordinator to the indicator engine, behind the last bars: save everything; answered when it is saved.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), String>")]
pub struct SaveIndicators;

/// Any actor to the coordinator: this cannot go on. The process ends with exit code 1; what is committed stays right.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct PipelineFailed(pub String);

/// Coordinator to a writer: what this run has committed so far.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "WriterReport")]
pub struct ReportSummary;

/// What one writer has committed.
#[derive(Clone, Debug)]
pub struct WriterReport {
    pub summary: RunSummary,
    /// Of its commits.
    pub latencies: Latencies,
}
