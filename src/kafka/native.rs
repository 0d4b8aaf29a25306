//! The consumer's queues, read as librdkafka hands them out: events of the group, and records.
//!
//! `BaseConsumer::poll` will not do: its end-of-partition error names no topic (with one topic a stock every partition is
//! number 0), and it takes one record at a time and allocates for it. So records are forwarded to a queue of their own, and this
//! module reads both. It and its submodules alone have `unsafe`; what they give out are copies, and records that live as long as the
//! call of the sink that is given them. Making, closing and every other call remain rdkafka's.

use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

mod event;
mod intake;
mod topic_ids;

use event::text;
pub(super) use event::{Event, Failure};
pub(super) use intake::{Item, Record};
pub(super) use topic_ids::topic_ids;

/// A consumer that is a member of a group, and its queues.
pub(super) struct NativeConsumer<C: ConsumerContext> {
    queue: NonNull<sys::rd_kafka_queue_t>,
    records: NonNull<sys::rd_kafka_queue_t>,
    consumer: BaseConsumer<C>,
}

// SAFETY: librdkafka's handles may be used from any thread; `BaseConsumer` is `Send` for the same reason.
unsafe impl<C: ConsumerContext> Send for NativeConsumer<C> {}

impl<C: ConsumerContext> NativeConsumer<C> {
    /// `None` when the consumer has no group.
    pub(super) fn new(consumer: BaseConsumer<C>) -> Option<Self> {
        let client = consumer.client().native_ptr();
        // SAFETY: the handle is alive as long as `consumer`; the references we get are given back in `drop`.
        let (queue, records) = unsafe { (sys::rd_kafka_queue_get_consumer(client), sys::rd_kafka_queue_new(client)) };
        Some(Self { queue: NonNull::new(queue)?, records: NonNull::new(records)?, consumer })
    }

    pub(super) fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// The next event, or `None` after `wait`.
    pub(super) fn poll(&self, wait: Duration) -> Option<Event> {
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive; the event belongs to us.
        unsafe {
            let event = NonNull::new(sys::rd_kafka_queue_poll(self.queue.as_ptr(), millis))?;
            Some(Event::take(event))
        }
    }

    /// Gives all records that have come to `sink`, waiting for the first.
    pub(super) fn take_all(&self, wait: Duration, sink: impl FnMut(Item<'_>)) {
        let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is alive and ours alone; only partitions are forwarded to it.
        unsafe { intake::take_all(self.records, millis, sink) }
    }

    /// From now on the records of this partition come to the queue of records. librdkafka ends that when it stops to fetch a partition, at a moment
    /// of its own.
    pub(super) fn forward(&self, topic: &str, partition: i32) -> Result<(), String> {
        let topic = CString::new(topic).map_err(|error| error.to_string())?;
        // SAFETY: client, name and our queue are alive during the calls; the reference to the partition's queue is given back.
        unsafe {
            let client = self.consumer.client().native_ptr();
            let queue = sys::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            if queue.is_null() {
                return Err(String::from("the client does not know the partition"));
            }
            sys::rd_kafka_queue_forward(queue, self.records.as_ptr());
            sys::rd_kafka_queue_destroy(queue);
        }
        Ok(())
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

    /// Commits offsets to the group; [`Event::CommitAnswered`] tells when that is over. (`Consumer::commit` tells nobody.)
    pub(super) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), String> {
        let client = self.consumer.client().native_ptr();
        // SAFETY: client, list and queue are alive during the call, which copies the list and keeps a reference to the queue.
        code_into_result(unsafe {
            sys::rd_kafka_commit_queue(client, offsets.ptr(), self.queue.as_ptr(), None, ptr::null_mut())
        })
    }

    /// Answers a [`Event::Assign`]: begin to read at the offsets in the list.
    pub(super) fn assign(&self, partitions: &TopicPartitionList) -> Result<(), String> {
        let client = self.consumer.client().native_ptr();
        if self.is_cooperative() {
            // SAFETY: client and list are alive during the call.
            into_result(unsafe { sys::rd_kafka_incremental_assign(client, partitions.ptr()) })
        } else {
            // SAFETY: as above.
            code_into_result(unsafe { sys::rd_kafka_assign(client, partitions.ptr()) })
        }
    }

    /// Answers a [`Event::Revoke`].
    pub(super) fn unassign(&self, partitions: &TopicPartitionList) -> Result<(), String> {
        let client = self.consumer.client().native_ptr();
        if self.is_cooperative() {
            // SAFETY: as in `assign`.
            into_result(unsafe { sys::rd_kafka_incremental_unassign(client, partitions.ptr()) })
        } else {
            // SAFETY: a null list means: nothing is assigned.
            code_into_result(unsafe { sys::rd_kafka_assign(client, ptr::null()) })
        }
    }
}

/// Tells the mock cluster that a client hosts how long the first member of a group waits for others; nothing if it hosts none.
pub(super) fn set_first_assignment_delay<C: ClientContext>(host: &Client<C>, wait: Duration) {
    let millis = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is alive during both calls, and with it its cluster; null is checked.
    unsafe {
        let cluster = sys::rd_kafka_handle_mock_cluster(host.native_ptr());
        if !cluster.is_null() {
            sys::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, millis);
        }
    }
}

/// Adds a client's own `bootstrap.servers` to the brokers that it knows, where they are not among them.
pub(super) fn tell_bootstrap_servers<C: ClientContext>(client: &Client<C>) {
    let name = c"bootstrap.servers".as_ptr();
    let mut length = 0;
    // SAFETY: the client, and with it its properties, is alive during the calls; the first says how long the text is, its end included, and
    // the second writes no more than that.
    unsafe {
        let properties = sys::rd_kafka_conf(client.native_ptr());
        sys::rd_kafka_conf_get(properties, name, ptr::null_mut(), &raw mut length);
        let mut servers = vec![0_u8; length + 1];
        sys::rd_kafka_conf_get(properties, name, servers.as_mut_ptr().cast(), &raw mut length);
        sys::rd_kafka_brokers_add(client.native_ptr(), servers.as_ptr().cast());
    }
}

impl<C: ConsumerContext> Drop for NativeConsumer<C> {
    fn drop(&mut self) {
        // SAFETY: our own references, given back once, before the field `consumer` is dropped.
        unsafe {
            sys::rd_kafka_queue_destroy(self.records.as_ptr());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
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
