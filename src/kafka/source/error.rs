//! What can go wrong while reading, and what it means.

use std::fmt;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;

use super::LogBounds;
use crate::kafka::native::Failure;
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::supervision::RestartReason;

/// Why a partition could not be taken; the text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeRefused {
    /// Something must be changed first: the settings, the topic, the lake.
    #[error("{0}")]
    ForGood(String),
    /// The disk failed: it may do so again.
    #[error("{0}")]
    ByDisk(String),
    /// The disk is full, or others take it at this very moment: later it can be.
    #[error("{0}")]
    ForNow(String),
}

/// An error of a source; [`SourceError::is_fatal`] says whether to go on polling.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("cannot take {partition}: {reason}")]
    Refused { partition: TopicPartition, reason: TakeRefused },
    /// Who took the partition wants to begin where the log has nothing: the client would skip records.
    #[error("cannot read {partition} from offset {wanted}: its log holds {log}")]
    OutsideLog { partition: TopicPartition, wanted: NextOffset, log: LogBounds },
    /// The log has moved on while reading.
    #[error(
        "the log of {partition} no longer holds offset {next}: the broker deleted ticks before they were read, or the topic was made anew"
    )]
    LogMoved { partition: TopicPartition, next: NextOffset },
    /// A damaged or unknown batch, which the client would skip.
    #[error("cannot read {partition} at or after offset {next}: {reason}")]
    Unreadable { partition: TopicPartition, next: NextOffset, reason: String },
    #[error("no broker answers for {partition}: {reason}")]
    NoAnswer { partition: TopicPartition, reason: String },
    /// The client is of no use any more: make another one, or end.
    #[error("the kafka consumer failed: {0}")]
    Fatal(String),
    /// The client mends it by itself: go on polling. To be logged at a limited rate.
    #[error("kafka: {0}")]
    Trouble(String),
    #[error("the kafka consumer did not close within {patience:?}")]
    NotClosed { patience: Duration },
}

impl SourceError {
    /// Whether something is not read any more because of it: the partition that it names, or all.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::Trouble(_) | Self::NotClosed { .. })
    }

    /// Why to take the partition that it names again after a while; `None` when that would not help.
    pub fn may_be_taken_again(&self) -> Option<RestartReason> {
        match self {
            Self::Refused { reason: TakeRefused::ByDisk(text), .. } => Some(RestartReason::Storage(text.clone())),
            Self::Refused { reason: TakeRefused::ForNow(_), .. } | Self::NoAnswer { .. } => {
                Some(RestartReason::NotYet(self.to_string()))
            }
            // Whether to go on behind what is lost is decided when it is taken, and said with all that matters.
            Self::LogMoved { .. } => Some(RestartReason::LogMoved(self.to_string())),
            _ => None,
        }
    }

    /// The partition that is not read any more, when it is one and not all.
    pub fn partition(&self) -> Option<&TopicPartition> {
        match self {
            Self::Refused { partition, .. }
            | Self::OutsideLog { partition, .. }
            | Self::LogMoved { partition, .. }
            | Self::Unreadable { partition, .. }
            | Self::NoAnswer { partition, .. } => Some(partition),
            Self::Fatal(_) | Self::Trouble(_) | Self::NotClosed { .. } => None,
        }
    }

    pub(super) fn ends_partition(&self) -> bool {
        matches!(self, Self::LogMoved { .. } | Self::Unreadable { .. })
    }

    pub(super) fn no_answer(partition: &TopicPartition, error: &impl fmt::Display) -> Self {
        Self::NoAnswer { partition: partition.clone(), reason: error.to_string() }
    }

    pub(super) fn classify(failure: Failure, at: Option<(TopicPartition, NextOffset)>) -> Self {
        let text = match &failure.partition {
            Some((topic, number)) => format!("{topic}-{number}: {} ({:?})", failure.text, failure.code),
            None => format!("{} ({:?})", failure.text, failure.code),
        };
        if failure.is_fatal {
            return Self::Fatal(text);
        }
        match (failure.code, at) {
            (Code::AutoOffsetReset | Code::OffsetOutOfRange, Some((partition, next))) => {
                Self::LogMoved { partition, next }
            }
            (
                Code::BadMessage | Code::BadCompression | Code::Underflow | Code::NotImplemented | Code::InvalidMessage,
                Some((partition, next)),
            ) => Self::Unreadable { partition, next, reason: text },
            // Trying again does not make a password right.
            (
                Code::Authentication
                | Code::SaslAuthenticationFailed
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::InconsistentGroupProtocol
                | Code::Fatal,
                _,
            ) => Self::Fatal(text),
            _ => Self::Trouble(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(code: Code) -> SourceError {
        let partition = TopicPartition::new("t", 0);
        let failure = Failure { code, is_fatal: false, text: "said".into(), partition: Some(("t".into(), 0)) };
        SourceError::classify(failure, Some((partition, NextOffset(7))))
    }

    #[test]
    fn what_the_client_mends_by_itself_is_not_fatal() {
        for code in
            [Code::AllBrokersDown, Code::BrokerTransportFailure, Code::UnknownTopicOrPartition, Code::PollExceeded]
        {
            assert!(!classify(code).is_fatal(), "{code:?}");
        }
    }

    #[test]
    fn what_would_skip_records_ends_the_partition() {
        for code in [Code::AutoOffsetReset, Code::BadCompression] {
            let error = classify(code);
            assert!(error.ends_partition() && error.is_fatal(), "{code:?}");
            assert_eq!(error.partition(), Some(&TopicPartition::new("t", 0)));
        }
    }

    #[test]
    fn a_partition_is_taken_again_when_that_may_help_and_not_when_something_must_be_changed_first() {
        let partition = TopicPartition::new("t", 0);
        let refused = |reason| SourceError::Refused { partition: partition.clone(), reason };
        let no_answer = SourceError::NoAnswer { partition: partition.clone(), reason: "nobody".into() };
        let again = |error: &SourceError| error.may_be_taken_again().map(|reason| reason.counts());
        assert_eq!(again(&refused(TakeRefused::ForGood("other lateness".into()))), None);
        assert_eq!(again(&refused(TakeRefused::ByDisk("fsync".into()))), Some(true));
        assert_eq!(again(&refused(TakeRefused::ForNow("full".into()))), Some(false));
        assert_eq!(again(&no_answer), Some(false));
        assert_eq!(again(&classify(Code::AutoOffsetReset)), Some(false));
        assert_eq!(again(&classify(Code::BadCompression)), None);
    }

    #[test]
    fn a_wrong_password_is_fatal_and_says_so() {
        let error = classify(Code::SaslAuthenticationFailed);
        assert!(error.is_fatal() && error.to_string().contains("said"));
    }
}
