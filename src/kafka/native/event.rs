//! What the group says, copied out of librdkafka's events.

use std::ffi::{CStr, c_char};
use std::ptr::{self, NonNull};

use rdkafka::bindings as sys;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;

use crate::market::checkpoint::TopicPartition;

/// Something that happened.
pub(in crate::kafka) enum Event {
    Failure(Failure),
    Assign(Vec<TopicPartition>),
    Revoke(Vec<TopicPartition>),
    CommitAnswered(Result<(), RDKafkaErrorCode>),
    /// A record where none may come: they have a queue of their own.
    Stray,
    Log {
        level: RDKafkaLogLevel,
        facility: String,
        text: String,
    },
    Other,
}

/// An error that the consumer reports.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::kafka) struct Failure {
    pub(in crate::kafka) code: RDKafkaErrorCode,
    pub(in crate::kafka) is_fatal: bool,
    pub(in crate::kafka) text: String,
    pub(in crate::kafka) partition: Option<(String, i32)>,
}

/// An event of librdkafka; what it holds is freed with it.
pub(super) struct Native(NonNull<sys::rd_kafka_event_t>);

impl Event {
    /// # Safety
    /// The event is the caller's, of a living client, and is used no more.
    pub(super) unsafe fn take(event: NonNull<sys::rd_kafka_event_t>) -> Self {
        let event = Native(event);
        // SAFETY: alive until the end of this block, and so is everything that its accessors return, unless said otherwise.
        unsafe {
            match sys::rd_kafka_event_type(event.ptr()) {
                sys::RD_KAFKA_EVENT_FETCH => Self::Stray,
                sys::RD_KAFKA_EVENT_ERROR => event.failure(),
                sys::RD_KAFKA_EVENT_REBALANCE => match sys::rd_kafka_event_error(event.ptr()) {
                    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Self::Assign(event.partitions()),
                    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Self::Revoke(event.partitions()),
                    _ => Self::Other,
                },
                sys::RD_KAFKA_EVENT_OFFSET_COMMIT => match sys::rd_kafka_event_error(event.ptr()) {
                    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Self::CommitAnswered(Ok(())),
                    error => Self::CommitAnswered(Err(error.into())),
                },
                sys::RD_KAFKA_EVENT_LOG => event.log_line(),
                _ => Self::Other,
            }
        }
    }
}

impl Native {
    /// # Safety
    /// The event belongs to the caller, and from now on to this.
    pub(super) unsafe fn of(event: NonNull<sys::rd_kafka_event_t>) -> Self {
        Self(event)
    }

    pub(super) fn ptr(&self) -> *mut sys::rd_kafka_event_t {
        self.0.as_ptr()
    }

    /// # Safety
    /// See [`Event::take`], as for the others.
    unsafe fn partitions(&self) -> Vec<TopicPartition> {
        // SAFETY: the event owns the list, or there is none; its elements and their names live as long.
        unsafe {
            let elements = match sys::rd_kafka_event_topic_partition_list(self.ptr()).as_ref() {
                Some(list) if list.cnt > 0 => std::slice::from_raw_parts(list.elems, list.cnt as usize),
                _ => &[],
            };
            elements.iter().map(|element| TopicPartition::new(text(element.topic), element.partition)).collect()
        }
    }

    unsafe fn failure(&self) -> Event {
        // SAFETY: the partition belongs to us and is destroyed here.
        unsafe {
            let partition = sys::rd_kafka_event_topic_partition(self.ptr()).as_mut().map(|place| {
                let copy = (text(place.topic).to_owned(), place.partition);
                sys::rd_kafka_topic_partition_destroy(place);
                copy
            });
            match sys::rd_kafka_event_error(self.ptr()) {
                sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Event::Other,
                error => Event::Failure(Failure {
                    code: error.into(),
                    is_fatal: sys::rd_kafka_event_error_is_fatal(self.ptr()) != 0,
                    text: text(sys::rd_kafka_event_error_string(self.ptr())).to_owned(),
                    partition,
                }),
            }
        }
    }

    unsafe fn log_line(&self) -> Event {
        let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: on success both strings are set and live as long as the event.
        unsafe {
            if sys::rd_kafka_event_log(self.ptr(), &raw mut facility, &raw mut line, &raw mut level) != 0 {
                return Event::Other;
            }
            // syslog levels: up to 4 is a warning or worse.
            let level = if level <= 4 { RDKafkaLogLevel::Warning } else { RDKafkaLogLevel::Info };
            Event::Log { level, facility: text(facility).to_owned(), text: text(line).to_owned() }
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// # Safety
/// Null, or a C string that lives for `'a`.
pub(super) unsafe fn text<'a>(chars: *const c_char) -> &'a str {
    if chars.is_null() {
        return "";
    }
    // SAFETY: by the caller. Kafka's names and librdkafka's messages are ASCII.
    unsafe { CStr::from_ptr(chars) }.to_str().unwrap_or("(not UTF-8)")
}

/// # Safety
/// Null, or `length` bytes that live for `'a`.
pub(super) unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the caller.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
}
