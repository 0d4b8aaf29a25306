//! Records, as librdkafka's queue of them gives them out: all that have come, at once.
//!
//! `rd_kafka_consume_callback_queue` takes the whole queue under one lock, and moves each partition's position behind what it gave.
//! (`rd_kafka_consume_batch_queue` takes a lock for each record, and moves the position *behind* the record that an end of partition
//! stands for, so that a pause at the end of a log would skip the next record.)

use std::ffi::c_void;
use std::ptr::NonNull;

use rdkafka::bindings as sys;

use super::event::{Failure, bytes, text};

/// What lies in a queue of records.
pub(in crate::kafka) enum Item<'a> {
    Record(Record<'a>),
    /// The offset is the one behind the last record.
    EndOfPartition(Record<'a>),
    /// Of the partition that the record names.
    Failure(Record<'a>, Failure),
}

/// Gives everything in the queue to `sink`, waiting for the first so long.
///
/// # Safety
/// The queue is alive, and holds records and errors of partitions and nothing else.
pub(super) unsafe fn take_all<F: FnMut(Item<'_>)>(queue: NonNull<sys::rd_kafka_queue_t>, millis: i32, mut sink: F) {
    let opaque: *mut F = &raw mut sink;
    // SAFETY: the callback is called during this call only, with `opaque`, which is a live `F` that nobody else uses.
    unsafe { sys::rd_kafka_consume_callback_queue(queue.as_ptr(), millis, Some(give::<F>), opaque.cast()) };
}

/// A panic of the sink cannot pass through C: it aborts.
unsafe extern "C" fn give<F: FnMut(Item<'_>)>(message: *mut sys::rd_kafka_message_t, sink: *mut c_void) {
    // SAFETY: `take_all` gave the sink; librdkafka owns the message and keeps it during this call.
    let (message, sink) = unsafe { (&*message, &mut *sink.cast::<F>()) };
    sink(item(message));
}

fn item(message: &sys::rd_kafka_message_t) -> Item<'_> {
    let record = Record(message);
    match message.err {
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Item::Record(record),
        sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Item::EndOfPartition(record),
        error => {
            // SAFETY: a static string, or the message's own.
            let text = unsafe { text(sys::rd_kafka_message_errstr(message)) }.to_owned();
            let partition = Some((record.topic().to_owned(), record.partition()));
            Item::Failure(record, Failure { code: error.into(), is_fatal: false, text, partition })
        }
    }
}

/// A record, borrowed from its queue.
#[derive(Clone, Copy)]
pub(in crate::kafka) struct Record<'a>(&'a sys::rd_kafka_message_t);

impl<'a> Record<'a> {
    /// Tells topics apart without comparing names; the same for a topic as long as the assignment does not change.
    pub(in crate::kafka) fn topic_id(self) -> usize {
        self.0.rkt.addr()
    }

    pub(in crate::kafka) fn topic(self) -> &'a str {
        if self.0.rkt.is_null() {
            return "";
        }
        // SAFETY: the message keeps its topic alive.
        unsafe { text(sys::rd_kafka_topic_name(self.0.rkt)) }
    }

    pub(in crate::kafka) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(in crate::kafka) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Milliseconds since the epoch.
    pub(in crate::kafka) fn timestamp(self) -> Option<i64> {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is alive.
        let millis = unsafe { sys::rd_kafka_message_timestamp(self.0, &raw mut kind) };
        (millis != -1).then_some(millis)
    }

    pub(in crate::kafka) fn key(self) -> Option<&'a [u8]> {
        // SAFETY: null, or as many bytes as the message says, alive as long as it.
        unsafe { bytes(self.0.key.cast(), self.0.key_len) }
    }

    pub(in crate::kafka) fn payload(self) -> Option<&'a [u8]> {
        // SAFETY: as above.
        unsafe { bytes(self.0.payload.cast(), self.0.len) }
    }
}
