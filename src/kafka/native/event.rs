//! What the group says: safe values that borrow from their event.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use rdkafka::bindings as sys;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;

/// Something that happened; what it holds is freed with it.
pub(in crate::kafka) struct Event(pub(super) NonNull<sys::rd_kafka_event_t>);

pub(in crate::kafka) enum Kind<'a> {
    Failure(Failure),
    Assign(Partitions<'a>),
    Revoke(Partitions<'a>),
    CommitAnswered(Result<(), RDKafkaErrorCode>),
    /// A record where none may come: they have a queue of their own.
    Stray,
    Log {
        level: RDKafkaLogLevel,
        facility: &'a str,
        text: &'a str,
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

impl Event {
    pub(in crate::kafka) fn kind(&self) -> Kind<'_> {
        let event = self.0.as_ptr();
        // SAFETY: the event is alive as long as `self`; so is everything that its accessors return, unless said otherwise.
        unsafe {
            match sys::rd_kafka_event_type(event) {
                sys::RD_KAFKA_EVENT_FETCH => Kind::Stray,
                sys::RD_KAFKA_EVENT_ERROR => self.failure(),
                sys::RD_KAFKA_EVENT_REBALANCE => {
                    let list = sys::rd_kafka_event_topic_partition_list(event);
                    let partitions = Partitions { list, event: PhantomData };
                    match sys::rd_kafka_event_error(event) {
                        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Kind::Assign(partitions),
                        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => Kind::Revoke(partitions),
                        _ => Kind::Other,
                    }
                }
                sys::RD_KAFKA_EVENT_OFFSET_COMMIT => match sys::rd_kafka_event_error(event) {
                    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Kind::CommitAnswered(Ok(())),
                    error => Kind::CommitAnswered(Err(error.into())),
                },
                sys::RD_KAFKA_EVENT_LOG => self.log_line(),
                _ => Kind::Other,
            }
        }
    }

    unsafe fn failure(&self) -> Kind<'_> {
        let event = self.0.as_ptr();
        // SAFETY: see `kind`; the partition belongs to us and is destroyed here.
        unsafe {
            let partition = sys::rd_kafka_event_topic_partition(event).as_mut().map(|place| {
                let copy = (text(place.topic).to_owned(), place.partition);
                sys::rd_kafka_topic_partition_destroy(place);
                copy
            });
            match sys::rd_kafka_event_error(event) {
                sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Kind::Other,
                error => Kind::Failure(Failure {
                    code: error.into(),
                    is_fatal: sys::rd_kafka_event_error_is_fatal(event) != 0,
                    text: text(sys::rd_kafka_event_error_string(event)).to_owned(),
                    partition,
                }),
            }
        }
    }

    unsafe fn log_line(&self) -> Kind<'_> {
        let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: see `kind`; on success both strings are set and live as long as the event.
        unsafe {
            if sys::rd_kafka_event_log(self.0.as_ptr(), &raw mut facility, &raw mut line, &raw mut level) != 0 {
                return Kind::Other;
            }
            // syslog levels: up to 4 is a warning or worse.
            let level = if level <= 4 { RDKafkaLogLevel::Warning } else { RDKafkaLogLevel::Info };
            Kind::Log { level, facility: text(facility), text: text(line) }
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: ours, destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// The partitions of a rebalance.
pub(in crate::kafka) struct Partitions<'a> {
    pub(super) list: *mut sys::rd_kafka_topic_partition_list_t,
    event: PhantomData<&'a mut Event>,
}

impl Partitions<'_> {
    fn elements(&self) -> &[sys::rd_kafka_topic_partition_t] {
        // SAFETY: the event owns the list (or there is none) and outlives this value.
        unsafe {
            match self.list.as_ref() {
                Some(list) if list.cnt > 0 => std::slice::from_raw_parts(list.elems, list.cnt as usize),
                _ => &[],
            }
        }
    }

    /// Topic and number of each.
    pub(in crate::kafka) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, i32)> {
        // SAFETY: a name lives as long as the list.
        self.elements().iter().map(|element| (unsafe { text(element.topic) }, element.partition))
    }

    /// Where reading of the partition with this index is to begin.
    pub(in crate::kafka) fn set_offset(&mut self, index: usize, offset: i64) {
        assert!(index < self.elements().len(), "the index comes from `iter`");
        // SAFETY: the index is inside the list, and `&mut self` is the only way to write to it.
        unsafe { (*(*self.list).elems.add(index)).offset = offset }
    }
}

/// Begin at the end of the log: for partitions that are taken only in name.
pub(in crate::kafka) const AT_THE_END: i64 = sys::RD_KAFKA_OFFSET_END as i64;

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
