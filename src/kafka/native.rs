//! The consumer's event queue, read as librdkafka hands it out.
//!
//! `BaseConsumer::poll` will not do: its end-of-partition error names no topic (with one topic a stock every partition is
//! number 0), and it allocates for every record. So this module polls the same queue itself. It is the only one with `unsafe`;
//! what it gives out are safe values that borrow from their event. Making, closing and every other call remain rdkafka's.

use std::ffi::{CStr, CString, c_char};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

/// A consumer that is a member of a group, and its queue.
pub(super) struct NativeConsumer<C: ConsumerContext> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    consumer: BaseConsumer<C>,
}

// SAFETY: librdkafka's handles may be used from any thread; `BaseConsumer` is `Send` for the same reason.
unsafe impl<C: ConsumerContext> Send for NativeConsumer<C> {}

impl<C: ConsumerContext> NativeConsumer<C> {
    /// `None` when the consumer has no group.
    pub(super) fn new(consumer: BaseConsumer<C>) -> Option<Self> {
        // SAFETY: the handle is alive as long as `consumer`; the reference we get is given back in `drop`.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Some(Self { queue: NonNull::new(queue)?, consumer })
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// The next event, or `None` after `wait`.
    pub(super) fn poll(&self, wait: Duration) -> Option<Event> {
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; the event belongs to us and is destroyed by `Event`.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), millis) }).map(Event)
    }

    /// Whether a rebalance changes the assignment by differences (else it replaces it).
    pub(super) fn is_cooperative(&self) -> bool {
        // SAFETY: returns a static string or null.
        unsafe { text(sys::rd_kafka_rebalance_protocol(self.consumer.client().native_ptr())) == "COOPERATIVE" }
    }

    /// The end of a partition's log as of the newest fetch, without asking a broker; `None` before the first fetch.
    pub(super) fn fetched_end(&self, topic: &str, partition: i32) -> Option<i64> {
        let topic = CString::new(topic).ok()?;
        let (mut low, mut high) = (0, 0);
        let client = self.consumer.client().native_ptr();
        // SAFETY: client, name and both numbers are alive during the call.
        let code =
            unsafe { sys::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition, &mut low, &mut high) };
        (code == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Answers a [`Kind::Assign`]: begin to read at the offsets in the list.
    pub(super) fn assign(&self, partitions: &Partitions<'_>) -> Result<(), String> {
        let client = self.consumer.client().native_ptr();
        if self.is_cooperative() {
            // SAFETY: client and list are alive during the call.
            into_result(unsafe { sys::rd_kafka_incremental_assign(client, partitions.list) })
        } else {
            // SAFETY: as above.
            code_into_result(unsafe { sys::rd_kafka_assign(client, partitions.list) })
        }
    }

    /// Answers a [`Kind::Revoke`].
    pub(super) fn unassign(&self, partitions: &Partitions<'_>) -> Result<(), String> {
        let client = self.consumer.client().native_ptr();
        if self.is_cooperative() {
            // SAFETY: as in `assign`.
            into_result(unsafe { sys::rd_kafka_incremental_unassign(client, partitions.list) })
        } else {
            // SAFETY: a null list means: nothing is assigned.
            code_into_result(unsafe { sys::rd_kafka_assign(client, ptr::null()) })
        }
    }
}

/// Tells the mock cluster that a client hosts how long the first member of a group waits for others; nothing if it hosts none.
pub(super) fn shorten_first_join<C: ClientContext>(host: &Client<C>, wait: Duration) {
    let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is alive during both calls, and with it its cluster; null is checked.
    unsafe {
        let cluster = sys::rd_kafka_handle_mock_cluster(host.native_ptr());
        if !cluster.is_null() {
            sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, millis);
        }
    }
}

impl<C: ConsumerContext> Drop for NativeConsumer<C> {
    fn drop(&mut self) {
        // SAFETY: our own reference, given back once, before the field `consumer` is dropped.
        unsafe { sys::rd_kafka_queue_destroy(self.queue.as_ptr()) }
    }
}

/// Something that happened; what it holds is freed with it.
pub(super) struct Event(NonNull<sys::rd_kafka_event_t>);

pub(super) enum Kind<'a> {
    Record(Record<'a>),
    EndOfPartition { topic: String, partition: i32, offset: i64 },
    Failure(Failure),
    Assign(Partitions<'a>),
    Revoke(Partitions<'a>),
    CommitFailed(RDKafkaErrorCode),
    Log { level: RDKafkaLogLevel, facility: &'a str, text: &'a str },
    Other,
}

/// An error that the consumer reports.
pub(super) struct Failure {
    pub(super) code: RDKafkaErrorCode,
    pub(super) is_fatal: bool,
    pub(super) text: String,
    pub(super) partition: Option<(String, i32)>,
}

impl Event {
    pub(super) fn kind(&self) -> Kind<'_> {
        let event = self.0.as_ptr();
        // SAFETY: the event is alive as long as `self`; so is everything that its accessors return, unless said otherwise.
        unsafe {
            match sys::rd_kafka_event_type(event) {
                sys::RD_KAFKA_EVENT_FETCH => match sys::rd_kafka_event_message_next(event).as_ref() {
                    Some(message) => Kind::Record(Record(message)),
                    None => Kind::Other,
                },
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
                    // Nothing to commit is no failure.
                    sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
                    | sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__NO_OFFSET => Kind::Other,
                    error => Kind::CommitFailed(error.into()),
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
            let place = sys::rd_kafka_event_topic_partition(event).as_mut().map(|place| {
                let copy = (text(place.topic).to_owned(), place.partition, place.offset);
                sys::rd_kafka_topic_partition_destroy(place);
                copy
            });
            match (sys::rd_kafka_event_error(event), place) {
                (sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF, Some((topic, partition, offset))) => {
                    Kind::EndOfPartition { topic, partition, offset }
                }
                (sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR, _) => Kind::Other,
                (error, place) => Kind::Failure(Failure {
                    code: error.into(),
                    is_fatal: sys::rd_kafka_event_error_is_fatal(event) != 0,
                    text: text(sys::rd_kafka_event_error_string(event)).to_owned(),
                    partition: place.map(|(topic, partition, _)| (topic, partition)),
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

/// A record, borrowed from its event.
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(&'a sys::rd_kafka_message_t);

impl<'a> Record<'a> {
    /// Tells topics apart without comparing names; the same for a topic as long as the assignment does not change.
    pub(super) fn topic_id(self) -> usize {
        self.0.rkt.addr()
    }

    pub(super) fn topic(self) -> &'a str {
        // SAFETY: the message keeps its topic alive.
        unsafe { text(sys::rd_kafka_topic_name(self.0.rkt)) }
    }

    pub(super) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(super) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Milliseconds since the epoch.
    pub(super) fn timestamp(self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.0, &raw mut kind) };
        (millis != -1).then_some(millis)
    }

    pub(super) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: null, or as many bytes as the message says, alive as long as the event.
        unsafe { bytes(self.0.key.cast(), self.0.key_len) }
    }

    pub(super) fn payload(self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { bytes(self.0.payload.cast(), self.0.len) }
    }
}

/// The partitions of a rebalance.
pub(super) struct Partitions<'a> {
    list: *mut sys::rd_kafka_topic_partition_list_t,
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
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, i32)> {
        // SAFETY: a name lives as long as the list.
        self.elements().iter().map(|element| (unsafe { text(element.topic) }, element.partition))
    }

    /// Where reading of the partition with this index is to begin.
    pub(super) fn set_offset(&mut self, index: usize, offset: i64) {
        assert!(index < self.elements().len(), "the index comes from `iter`");
        // SAFETY: the index is inside the list, and `&mut self` is the only way to write to it.
        unsafe { (*(*self.list).elems.add(index)).offset = offset }
    }
}

/// Begin at the end of the log: for partitions that are taken only in name.
pub(super) const AT_THE_END: i64 = sys::RD_KAFKA_OFFSET_END as i64;

/// # Safety
/// Null, or a C string that lives for `'a`.
unsafe fn text<'a>(chars: *const c_char) -> &'a str {
    if chars.is_null() {
        return "";
    }
    // SAFETY: by the caller. Kafka's names and librdkafka's messages are ASCII.
    unsafe { CStr::from_ptr(chars) }.to_str().unwrap_or("(not UTF-8)")
}

/// # Safety
/// Null, or `length` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> Option<&'a [u8]> {
    // SAFETY: by the caller.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, length) })
}

fn into_result(error: *mut sys::rd_kafka_error_t) -> Result<(), String> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: an error belongs to who got it; its string is copied before it is destroyed.
    unsafe {
        let message = text(sys::rd_kafka_error_string(error)).to_owned();
        sys::rd_kafka_error_destroy(error);
        Err(message)
    }
}

fn code_into_result(code: sys::rd_kafka_resp_err_t) -> Result<(), String> {
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(code.to_string()),
    }
}
