//! Mock brokers hosted by the test, with what can go wrong with brokers: they go down, answer with errors, lead other partitions.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::bindings as sys;
use rdkafka::client::DefaultClientContext;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// By itself the mock cluster lets the first member of a group wait three seconds for others.
const FIRST_ASSIGNMENT_DELAY_MS: i32 = 100;

/// Brokers 1 to n. What they keep outlives their outages, and ends with this.
pub struct Brokers {
    host: AdminClient<DefaultClientContext>,
    count: i32,
}

impl Brokers {
    pub fn start(count: i32) -> Self {
        let mut config = ClientConfig::new();
        let host: AdminClient<DefaultClientContext> =
            config.set("test.mock.num.brokers", count.to_string()).create().unwrap();
        let brokers = Self { host, count };
        // SAFETY: the cluster lives as long as its host.
        unsafe { sys::rd_kafka_mock_group_initial_rebalance_delay_ms(brokers.native(), FIRST_ASSIGNMENT_DELAY_MS) };
        brokers
    }

    fn native(&self) -> *mut sys::rd_kafka_mock_cluster_t {
        // SAFETY: the client lives; it hosts a cluster, so this is not null.
        unsafe { sys::rd_kafka_handle_mock_cluster(self.host.inner().native_ptr()) }
    }

    fn mock(&self) -> MockCluster<'_, DefaultClientContext> {
        self.host.inner().mock_cluster().expect("the client was told to host one")
    }

    pub fn bootstrap(&self) -> String {
        self.mock().bootstrap_servers()
    }

    pub fn create_topic(&self, topic: &str, partitions: i32) {
        self.mock().create_topic(topic, partitions, 1).unwrap();
    }

    fn ids(&self) -> std::ops::RangeInclusive<i32> {
        1..=self.count
    }

    /// All of them close their connections and take no new ones.
    pub fn down(&self) {
        self.ids().for_each(|id| self.mock().broker_down(id).unwrap());
    }

    /// At the addresses they had, with everything they kept.
    pub fn up(&self) {
        self.ids().for_each(|id| self.mock().broker_up(id).unwrap());
    }

    pub fn down_for(&self, pause: Duration) {
        self.down();
        std::thread::sleep(pause);
        self.up();
    }

    /// The next requests of this kind are answered with these errors, one each, and not carried out.
    pub fn fail(&self, request: RDKafkaApiKey, errors: &[RDKafkaRespErr]) {
        self.mock().request_errors(request, errors);
    }

    /// What of that has not been asked for yet is forgotten.
    pub fn fail_no_more(&self, request: RDKafkaApiKey) {
        self.mock().clear_request_errors(request);
    }

    /// The next requests of this kind are carried out, and answered so much later.
    pub fn answer_late(&self, request: RDKafkaApiKey, times: usize, delay: Duration) {
        for _ in 0..times {
            let millis = i32::try_from(delay.as_millis()).unwrap();
            let no_error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR as i32;
            // SAFETY: the cluster lives; as the count says one pair of an error and a delay follows, both C integers.
            let refused = unsafe {
                let request = request as i16;
                sys::rd_kafka_mock_broker_push_request_error_rtts(self.native(), 1, request, 1, no_error, millis)
            };
            assert_eq!(refused, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
        }
    }

    /// How many requests of this kind are still to be answered in a way of their own, late or with errors, by broker 1.
    pub fn answers_left(&self, request: RDKafkaApiKey) -> usize {
        let mut count = 0;
        // SAFETY: the cluster lives as long as its host, the count as long as the call.
        let refused =
            unsafe { sys::rd_kafka_mock_broker_error_stack_cnt(self.native(), 1, request as i16, &raw mut count) };
        assert_eq!(refused, RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR);
        count
    }

    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) {
        self.mock().partition_leader(topic, partition, Some(broker)).unwrap();
    }
}
