//! Which topic a stock's ticks are in, and that it exists.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{self, ClientError};
use super::client_log::QuietContext;
use super::embedded::{EmbeddedBroker, EmbeddedError};
use super::greeting::{self, NoCluster};
use super::wait::wait_for;
use crate::market::symbol::Symbol;
use crate::settings::{KafkaSettings, Layout};
use crate::words::counted;

pub use super::partitioner::partition_of_key;

mod names;
pub use names::{symbol_of, topic_of};

/// How long a broker may take for its first answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long new topics may take until every partition has a leader.
const READY: Duration = Duration::from_secs(15);

/// When what is not ready yet is asked again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Into how many segments what is kept of a topic is cut, and how short and small or large they may be.
const SEGMENTS: u32 = 8;
const SHORTEST_SEGMENT: Duration = Duration::from_secs(60);
const SMALLEST_SEGMENT: u64 = 1 << 20;
const LARGEST_SEGMENT: u64 = 1 << 30;

/// Why the topics are not as they must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicsError {
    #[error(
        "no kafka broker answers at {bootstrap} ({reason}): check that it runs, kafka.bootstrap_servers, and [kafka.security]; or set kafka.mode = \"embedded\" to need none"
    )]
    Unreachable { bootstrap: String, reason: String },
    #[error("the kafka cluster at {bootstrap} cannot be used: {reason}")]
    Refused { bootstrap: String, reason: String },
    #[error(
        "this user may not look at the group `{group}` ({reason}): give it the right to describe the group, or set another kafka.group_id"
    )]
    GroupForbidden { group: String, reason: String },
    #[error(
        "the topic `{topic}` has {} where {wanted} are expected: set kafka.partitions to what it has, or use another topic (its keys would go to other partitions, and a stock would get two bars)",
        counted(*found, "partition")
    )]
    OtherPartitionCount { topic: String, wanted: i32, found: i32 },
    #[error("cannot create the topic `{topic}` ({reason}): if that is no time-out, which passes, create it with {}, or allow it", counted(*partitions, "partition"))]
    NotCreated { topic: String, partitions: i32, reason: String },
    #[error("the topic `{topic}` has no leader after {READY:?}: try again, or look at the brokers")]
    NoLeader { topic: String },
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A topic as it must be.
struct Wanted {
    name: String,
    partitions: i32,
    /// Whether another number of partitions is a mistake.
    strict: bool,
}

/// The topics of one broker.
pub struct Topics<'a> {
    settings: &'a KafkaSettings,
    bootstrap: &'a str,
    embedded: Option<&'a EmbeddedBroker>,
}

impl<'a> Topics<'a> {
    /// Of a cluster.
    pub fn of_cluster(settings: &'a KafkaSettings, bootstrap: &'a str) -> Self {
        Self { settings, bootstrap, embedded: None }
    }

    /// Of the broker inside this process; it knows no retention settings.
    pub fn of_embedded(settings: &'a KafkaSettings, broker: &'a EmbeddedBroker) -> Self {
        Self { settings, bootstrap: broker.bootstrap_servers(), embedded: Some(broker) }
    }

    /// Creates what is missing of the topics of these stocks and of the dead letters. Existing topics are checked and left as
    /// they are. Blocks, up to some seconds.
    ///
    /// # Errors
    /// See [`TopicsError`]; trying again helps for `Unreachable` and `NoLeader`.
    pub fn ensure(&self, symbols: &[Symbol]) -> Result<(), TopicsError> {
        let wanted = self.wanted(symbols);
        let admin = self.admin()?;
        let found = self.find(&admin)?;
        let missing: Vec<&Wanted> = wanted.iter().filter(|topic| !found.contains_key(&topic.name)).collect();
        if missing.is_empty() {
            return check(&wanted, &found);
        }
        match self.embedded {
            Some(broker) => missing.iter().try_for_each(|topic| broker.create_topic(&topic.name, topic.partitions))?,
            None => self.create(&admin, &missing)?,
        }
        check(&wanted, &self.wait_for_leaders(&admin, &wanted)?)
    }

    /// The id by which this cluster is told from others.
    ///
    /// # Errors
    /// When no broker answers in time, or they do not let this client in.
    pub fn cluster_id(&self) -> Result<String, TopicsError> {
        if let Some(broker) = self.embedded {
            return Ok(broker.cluster_id().to_owned());
        }
        greeting::cluster_id(self.settings, self.bootstrap).map_err(|why| match why {
            NoCluster::Refused(reason) => TopicsError::Refused { bootstrap: self.bootstrap.to_owned(), reason },
            NoCluster::Silent(reason) => self.unreachable(reason),
            NoCluster::Client(error) => error.into(),
        })
    }

    /// How many consumers the group has at this moment.
    ///
    /// # Errors
    /// When no broker answers in time, or this user may not ask.
    pub fn group_members(&self) -> Result<usize, TopicsError> {
        let admin = self.admin()?;
        let deadline = Instant::now() + READY;
        loop {
            match admin.inner().fetch_group_list(Some(&self.settings.group_id), ANSWER) {
                Ok(groups) => return Ok(groups.groups().iter().map(|group| group.members().len()).sum()),
                Err(error) => match error.rdkafka_error_code() {
                    Some(code) if is_forbidden(code) => return Err(self.group_forbidden(code)),
                    // A broker that has just started.
                    Some(RDKafkaErrorCode::CoordinatorLoadInProgress) if Instant::now() < deadline => {
                        thread::sleep(LOOK_AGAIN)
                    }
                    _ => return Err(self.unreachable(error.to_string())),
                },
            }
        }
    }

    fn admin(&self) -> Result<AdminClient<QuietContext>, TopicsError> {
        let config = client::common_config(self.settings, self.bootstrap);
        Ok(client::create(&config, QuietContext::default())?)
    }

    fn group_forbidden(&self, code: RDKafkaErrorCode) -> TopicsError {
        TopicsError::GroupForbidden { group: self.settings.group_id.clone(), reason: code.to_string() }
    }

    fn unreachable(&self, reason: String) -> TopicsError {
        TopicsError::Unreachable { bootstrap: self.bootstrap.to_owned(), reason }
    }

    fn wanted(&self, symbols: &[Symbol]) -> Vec<Wanted> {
        let ticks = |name, partitions| Wanted { name, partitions, strict: true };
        let mut wanted: Vec<Wanted> = match self.settings.layout {
            Layout::PerStock => symbols.iter().map(|symbol| ticks(topic_of(self.settings, symbol), 1)).collect(),
            Layout::Keyed => vec![ticks(self.settings.topic.clone(), self.settings.partitions)],
        };
        wanted.push(Wanted { name: self.settings.dead_letter_topic.clone(), partitions: 1, strict: false });
        wanted
    }

    /// Topics that have partitions with a leader, and how many.
    fn find(&self, admin: &AdminClient<QuietContext>) -> Result<BTreeMap<String, i32>, TopicsError> {
        // All topics: to ask for one by name could create it.
        let metadata = admin.inner().fetch_metadata(None, ANSWER).map_err(|error| match error {
            KafkaError::MetadataFetch(code) => self.unreachable(code.to_string()),
            other => self.unreachable(other.to_string()),
        })?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let led = topics.filter(|topic| topic.partitions().iter().all(|partition| partition.leader() >= 0));
        Ok(led.map(|topic| (topic.name().to_owned(), topic.partitions().len() as i32)).collect())
    }

    fn create(&self, admin: &AdminClient<QuietContext>, missing: &[&Wanted]) -> Result<(), TopicsError> {
        let retention_ms = self.settings.retention.as_millis().to_string();
        let retention_bytes = self.settings.retention_bytes.to_string();
        // A broker deletes whole segments: one as large as all that is kept would go at once.
        let segment_ms = (self.settings.retention / SEGMENTS).max(SHORTEST_SEGMENT).as_millis().to_string();
        let segment_bytes = self.settings.retention_bytes / u64::from(SEGMENTS);
        let segment_bytes = segment_bytes.clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT).to_string();
        let new: Vec<NewTopic<'_>> = missing
            .iter()
            .map(|topic| {
                // -1: the cluster's default.
                NewTopic::new(&topic.name, topic.partitions, TopicReplication::Fixed(-1))
                    .set("retention.ms", &retention_ms)
                    .set("retention.bytes", &retention_bytes)
                    .set("segment.ms", &segment_ms)
                    .set("segment.bytes", &segment_bytes)
            })
            .collect();
        let options = AdminOptions::new().request_timeout(Some(READY)).operation_timeout(Some(ANSWER));
        let failed = |name: &str, reason: String| TopicsError::NotCreated {
            topic: name.to_owned(),
            partitions: missing.iter().find(|topic| topic.name == name).map_or(1, |topic| topic.partitions),
            reason,
        };
        let results = wait_for(admin.create_topics(&new, &options))
            .map_err(|error| failed(&missing[0].name, error.to_string()))?;
        for result in results {
            match result {
                // Somebody else was faster, or it had no leader for a moment.
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => return Err(failed(&name, code.to_string())),
            }
        }
        Ok(())
    }

    fn wait_for_leaders(
        &self,
        admin: &AdminClient<QuietContext>,
        wanted: &[Wanted],
    ) -> Result<BTreeMap<String, i32>, TopicsError> {
        let deadline = Instant::now() + READY;
        loop {
            let found = self.find(admin)?;
            match wanted.iter().find(|topic| !found.contains_key(&topic.name)) {
                None => return Ok(found),
                Some(_) if Instant::now() < deadline => thread::sleep(LOOK_AGAIN),
                Some(topic) => return Err(TopicsError::NoLeader { topic: topic.name.clone() }),
            }
        }
    }
}

fn is_forbidden(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::TopicAuthorizationFailed
    )
}

fn check(wanted: &[Wanted], found: &BTreeMap<String, i32>) -> Result<(), TopicsError> {
    for topic in wanted.iter().filter(|topic| topic.strict) {
        match found.get(&topic.name) {
            Some(found) if *found != topic.partitions => {
                let (topic, wanted, found) = (topic.name.clone(), topic.partitions, *found);
                return Err(TopicsError::OtherPartitionCount { topic, wanted, found });
            }
            _ => {}
        }
    }
    Ok(())
}
