//! Watches how near the broker's deletion of old records has come to what the lake still needs, and warns long before it is there.
//!
//! On a thread with a client of its own: it must go on watching just when reading stands still (a full disk, a writer that hangs),
//! and its questions must hold up nobody.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::error::KafkaError;
use tracing::{debug, warn};

use super::bounds;
use super::client::{self, ClientError};
use super::client_log::QuietContext;
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::market::retention::RetentionDistance;
use crate::settings::KafkaSettings;

/// Between two rounds of questions: a broker looks for what it may delete every five minutes.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(30);
/// Between two warnings: nobody needs to be told more often of what takes hours.
const WARN_AGAIN: Duration = Duration::from_secs(300);
/// How long the broker may take to tell the bounds of one log.
const PATIENCE: Duration = Duration::from_secs(2);

/// The oldest offset that each owned partition still needs; shared between who reads and who watches.
#[derive(Clone, Debug, Default)]
pub struct NeededOffsets(Arc<Mutex<BTreeMap<TopicPartition, NextOffset>>>);

impl NeededOffsets {
    pub fn set(&self, partition: &TopicPartition, resume: NextOffset) {
        self.lock().insert(partition.clone(), resume);
    }

    /// The partition is somebody else's.
    pub fn forget(&self, partition: &TopicPartition) {
        self.lock().remove(partition);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TopicPartition, NextOffset>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The owned partition that has the least of its log left.
#[derive(Clone, Debug, PartialEq)]
pub struct NearestLoss {
    pub partition: TopicPartition,
    pub distance: RetentionDistance,
    /// How many of the owned partitions are near.
    pub near: usize,
}

/// Who is told after every round.
pub type Report = Box<dyn Fn(NearestLoss) + Send>;

/// The watching thread; it ends when this is dropped.
pub struct RetentionWatch {
    _ends_with_this: mpsc::Sender<()>,
}

impl RetentionWatch {
    /// Begins to look, every so often.
    ///
    /// # Errors
    /// When the client's properties are refused.
    pub fn start(
        settings: &KafkaSettings,
        bootstrap: &str,
        needed: NeededOffsets,
        every: Duration,
        report: Report,
    ) -> Result<Self, ClientError> {
        let config = client::common_config(settings, bootstrap);
        let asker: AdminClient<QuietContext> = client::create(&config, QuietContext::default())?;
        let (ends, ended) = mpsc::channel();
        let watch = move || {
            let mut quiet_until = Instant::now();
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let bounds_of = |partition: &TopicPartition| {
                    bounds::fetch(asker.inner(), &partition.topic, partition.partition, PATIENCE)
                };
                let Some(nearest) = nearest(&needed, bounds_of) else { continue };
                say(&nearest, &mut quiet_until);
                report(nearest);
            }
        };
        thread::Builder::new()
            .name(String::from("kafka-retention"))
            .spawn(watch)
            .map_err(|error| ClientError::Creation(format!("cannot start a thread: {error}")))?;
        Ok(Self { _ends_with_this: ends })
    }
}

/// Asks for every partition.
fn nearest(
    needed: &NeededOffsets,
    bounds_of: impl Fn(&TopicPartition) -> Result<(i64, i64), KafkaError>,
) -> Option<NearestLoss> {
    let (mut nearest, mut near): (Option<NearestLoss>, usize) = (None, 0);
    let partitions: Vec<TopicPartition> = needed.lock().keys().cloned().collect();
    for partition in partitions {
        // One that nobody answers for must not hide the others.
        let (log_start, log_end) = match bounds_of(&partition) {
            Ok(bounds) => bounds,
            Err(error) => {
                debug!(%partition, %error, "cannot ask how much of the log is left; trying later");
                continue;
            }
        };
        // As it is now: asking may have taken a while, and a partition may have gone.
        let Some(resume) = needed.lock().get(&partition).copied() else { continue };
        let distance = RetentionDistance { log_start: NextOffset(log_start), log_end: NextOffset(log_end), resume };
        near += usize::from(distance.is_near());
        if nearest.as_ref().is_none_or(|least| distance.share_left() < least.distance.share_left()) {
            nearest = Some(NearestLoss { partition, distance, near: 0 });
        }
    }
    nearest.map(|nearest| NearestLoss { near, ..nearest })
}

fn say(nearest: &NearestLoss, quiet_until: &mut Instant) {
    let NearestLoss { partition, distance, near } = nearest;
    let (offsets_left, percent) = (distance.offsets_left(), distance.share_left() * 100.0);
    debug!(%partition, offsets_left, percent, "distance of the resume offset from the start of the log, nearest partition");
    if *near == 0 || Instant::now() < *quiet_until {
        return;
    }
    *quiet_until = Instant::now() + WARN_AGAIN;
    warn!(
        %partition, resume = %distance.resume, log_start = %distance.log_start, offsets_left, partitions_near = near,
        "the broker is about to delete ticks that the lake still needs: {percent:.0} % of the log is left; raise the topic's retention (retention.ms, retention.bytes; the embedded broker keeps 5 MiB or 100,000 batches), or find out why commits do not keep up"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::embedded::EmbeddedBroker;

    fn partition(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    /// Partition n needs offset 100 x n.
    fn needed(partitions: i32) -> NeededOffsets {
        let needed = NeededOffsets::default();
        (1..=partitions).for_each(|n| needed.set(&partition(n), NextOffset(i64::from(n) * 100)));
        needed
    }

    #[test]
    fn the_partition_with_the_least_left_is_told_and_how_many_are_near() {
        let found = nearest(&needed(3), |_| Ok((90, 1_000))).unwrap();
        assert_eq!((found.partition, found.distance.offsets_left(), found.near), (partition(1), 10, 2));
        let found = nearest(&needed(3), |_| Ok((0, 1_000))).unwrap();
        assert_eq!((found.partition, found.near), (partition(1), 0));
    }

    #[test]
    fn without_partitions_or_answers_there_is_nothing_to_tell() {
        let needed = needed(1);
        assert_eq!(nearest(&needed, |_| Err(KafkaError::Canceled)), None);
        needed.forget(&partition(1));
        assert_eq!(nearest(&needed, |_| Ok((90, 1_000))), None);
    }

    #[test]
    fn a_partition_that_goes_meanwhile_is_not_told() {
        let needed = needed(2);
        let found = nearest(&needed, |asked| {
            needed.forget(&partition(1));
            Ok(if *asked == partition(1) { (999, 1_000) } else { (50, 1_000) })
        });
        assert_eq!(found.map(|found| found.partition), Some(partition(2)));
    }

    #[test]
    fn the_watch_asks_the_broker_and_ends_with_its_owner() {
        let settings = crate::kafka::testing::settings();
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topic("t", 2).unwrap();
        let (tell, told) = mpsc::channel();
        let report = Box::new(move |nearest| tell.send(nearest).unwrap_or_default());
        let (often, address) = (Duration::from_millis(10), broker.bootstrap_servers());
        let watch = RetentionWatch::start(&settings, address, needed(1), often, report).unwrap();
        let distance = RetentionDistance { log_start: NextOffset(0), log_end: NextOffset(0), resume: NextOffset(100) };
        let wanted = NearestLoss { partition: partition(1), distance, near: 0 };
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(wanted));
        drop(watch);
        while told.recv_timeout(Duration::from_secs(60)).is_ok() {}
        assert_eq!(told.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn a_warning_is_not_repeated_at_once() {
        let near = nearest(&needed(1), |_| Ok((90, 1_000))).unwrap();
        let mut quiet_until = Instant::now();
        say(&near, &mut quiet_until);
        let first = quiet_until;
        assert!(first > Instant::now());
        say(&near, &mut quiet_until);
        assert_eq!(quiet_until, first);
    }
}
