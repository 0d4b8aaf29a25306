//! The ids that brokers give to topics: by its id a topic that was made anew is told from the one before it of the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE as UNSUPPORTED;
use sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR as NO_ERROR;

use super::event::{Native, text};
use crate::market::checkpoint::TopicId;

/// Of those of the topics that there are and that we may describe; of none where brokers give no ids (before 2.8). Blocks.
///
/// # Errors
/// When no broker answers in time.
pub(in crate::kafka) fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &BTreeSet<&str>,
    patience: Duration,
) -> Result<BTreeMap<String, TopicId>, String> {
    let Some(any) = topics.first() else { return Ok(BTreeMap::new()) };
    let names: Result<Vec<_>, _> = topics.iter().map(|topic| CString::new(*topic)).collect();
    let names = names.map_err(|error| error.to_string())?;
    let deadline = Instant::now() + patience;
    // Every broker knows; left to itself the client would wait for the one that controls the cluster.
    let cluster = client.fetch_metadata(Some(any), patience).map_err(|error| error.to_string())?;
    let broker = match cluster.orig_broker_id() {
        // One that was asked by its address, before its number was known.
        ..0 => cluster.brokers().first().map_or(-1, |broker| broker.id()),
        known => known,
    };
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    // Both questions together may take no longer; the client wants a millisecond at least.
    let left = deadline.saturating_duration_since(Instant::now());
    let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
    let client = client.native_ptr();
    // SAFETY: client and names are alive during the calls, which copy the names. What is made here is destroyed here, once; an answer that
    // comes later finds a queue that librdkafka keeps alive for it. The event is ours.
    let answer = unsafe {
        let queue = sys::rd_kafka_queue_new(client);
        let wanted = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let describe = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = sys::rd_kafka_AdminOptions_new(client, describe);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, millis, ptr::null_mut(), 0);
        sys::rd_kafka_AdminOptions_set_broker(options, broker, ptr::null_mut(), 0);
        sys::rd_kafka_DescribeTopics(client, wanted, options, queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(wanted);
        // The client answers at its own time-out, a moment before.
        let event = sys::rd_kafka_queue_poll(queue, millis.saturating_add(1_000));
        sys::rd_kafka_queue_destroy(queue);
        Native::of(NonNull::new(event).ok_or("no answer")?)
    };
    // SAFETY: the event is alive until the end of this function, and owns everything that is looked at here.
    unsafe {
        match sys::rd_kafka_event_error(answer.ptr()) {
            NO_ERROR => {}
            UNSUPPORTED => return Ok(BTreeMap::new()),
            _ => return Err(text(sys::rd_kafka_event_error_string(answer.ptr())).to_owned()),
        }
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.ptr());
        let mut count = 0;
        let first = match result.is_null() {
            true => ptr::null_mut(),
            false => sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count),
        };
        let described = if first.is_null() { &[] } else { std::slice::from_raw_parts(first, count) };
        Ok(described.iter().filter_map(|topic| named(*topic)).collect())
    }
}

/// # Safety
/// The description is alive.
unsafe fn named(topic: *const sys::rd_kafka_TopicDescription_t) -> Option<(String, TopicId)> {
    // SAFETY: by the caller; error, name and id are the description's own.
    unsafe {
        let error = sys::rd_kafka_TopicDescription_error(topic);
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        let is_none = id.is_null()
            || (sys::rd_kafka_Uuid_most_significant_bits(id), sys::rd_kafka_Uuid_least_significant_bits(id)) == (0, 0);
        if is_none || (!error.is_null() && sys::rd_kafka_error_code(error) != NO_ERROR) {
            return None;
        }
        let name = text(sys::rd_kafka_TopicDescription_name(topic)).to_owned();
        Some((name, TopicId::new(text(sys::rd_kafka_Uuid_base64str(id)))))
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;
    use rdkafka::admin::AdminClient;
    use rdkafka::mocking::MockCluster;

    use super::*;
    use crate::kafka::client_log::QuietContext;

    #[test]
    fn each_topic_has_an_id_that_stays_and_one_that_is_missing_has_none() {
        let broker = MockCluster::new(1).unwrap();
        for topic in ["a", "b"] {
            broker.create_topic(topic, 1, 1).unwrap();
        }
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers());
        let asker: AdminClient<QuietContext> = config.create_with_context(QuietContext::default()).unwrap();
        let ask = |topics: &[&str]| {
            topic_ids(asker.inner(), &topics.iter().copied().collect(), Duration::from_secs(60)).unwrap()
        };
        let ids = ask(&["a", "b"]);
        assert_eq!(ids.len(), 2, "{ids:?}");
        assert_ne!(ids["a"], ids["b"]);
        assert_eq!(ask(&["a", "b"]), ids);
        assert_eq!(ask(&["a", "missing"]).into_keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(ask(&[]), BTreeMap::new());
    }

    #[test]
    fn without_a_broker_there_is_no_answer() {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", "127.0.0.1:1");
        let asker: AdminClient<QuietContext> = config.create_with_context(QuietContext::default()).unwrap();
        assert!(topic_ids(asker.inner(), &BTreeSet::from(["a"]), Duration::from_millis(50)).is_err());
    }
}
