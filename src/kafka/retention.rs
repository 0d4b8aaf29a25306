//! Watches how near the broker's deletion of old records has come to what the lake still needs, and warns long before it is there; and
//! whether the topics are still those that the lake is made from.
//!
//! On a thread with a client of its own: it must go on watching just when reading stands still (a full disk, a writer that hangs),
//! and its questions must hold up nobody.

mod limits;

use std::collections::{BTreeMap, BTreeSet};
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
use super::native::topic_ids;
use crate::market::checkpoint::{NextOffset, TopicId, TopicPartition};
use crate::market::retention::{RetentionDistance, RetentionLimits, StandingStill};
use crate::settings::KafkaSettings;

/// Between two rounds of questions. A broker looks for what it may delete every five minutes; but what is read of a topic that was made anew
/// goes into the lake until it is noticed.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(10);
/// Between two warnings: nobody needs to be told more often of what takes hours.
const WARN_AGAIN: Duration = Duration::from_secs(300);
/// What helps when a log has little left; on the embedded broker nobody can set what is kept.
const RAISE: &str =
    "raise the topic's retention (retention.ms, retention.bytes), or find out why commits do not keep up";
const EMBEDDED: &str = "the embedded broker keeps 5 MiB or 100,000 batches, and if the partition had to restart now, windows that are open would be cut";
/// How long the broker may take to tell the bounds of one log.
const PATIENCE: Duration = Duration::from_secs(2);

/// The oldest offset that each owned partition still needs, and of which topic; shared between who reads and who watches.
#[derive(Clone, Debug, Default)]
pub struct NeededOffsets(Arc<Mutex<BTreeMap<TopicPartition, Needed>>>);

#[derive(Clone, Debug)]
struct Needed {
    resume: NextOffset,
    topic: Option<TopicId>,
}

impl NeededOffsets {
    /// The partition is ours, and its topic this one.
    pub fn begin(&self, partition: &TopicPartition, resume: NextOffset, topic: Option<TopicId>) {
        self.lock().insert(partition.clone(), Needed { resume, topic });
    }

    pub fn set(&self, partition: &TopicPartition, resume: NextOffset) {
        if let Some(needed) = self.lock().get_mut(partition) {
            needed.resume = resume;
        }
    }

    /// The partition is somebody else's.
    pub fn forget(&self, partition: &TopicPartition) {
        self.lock().remove(partition);
    }

    fn topics(&self) -> BTreeSet<String> {
        self.lock().keys().map(|partition| partition.topic.to_string()).collect()
    }

    /// A topic of which there is another one now. `ids`: those that brokers tell.
    fn made_anew(&self, ids: &BTreeMap<String, TopicId>) -> Option<MadeAnew> {
        self.lock().iter().find_map(|(TopicPartition { topic, .. }, needed)| {
            let (known, found) = (needed.topic.as_ref()?, ids.get(&**topic)?);
            (known != found).then(|| MadeAnew { topic: topic.to_string() })
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<TopicPartition, Needed>> {
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

/// A topic was deleted and made anew while it was being read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the topic {topic} was deleted and made anew while it was being read, and the lake was made from the one before: what was committed since then may be of either (`verify --against-log` tells); use another topic, or another lake directory"
)]
pub struct MadeAnew {
    pub topic: String,
}

/// What is told after a round.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    Nearest(NearestLoss),
    MadeAnew(MadeAnew),
}

pub type Report = Box<dyn Fn(Seen) + Send>;

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
        let of_settings = limits::of_settings(settings);
        let watch = move || {
            let (started, mut quiet_until) = (Instant::now(), Instant::now());
            let mut still = StandingStill::default();
            let remedy = if of_settings.is_some() { RAISE } else { EMBEDDED };
            while ended.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let topics = needed.topics();
                let limits = of_settings.map_or_else(BTreeMap::new, |_| limits::of_brokers(&asker, &topics));
                let look = |partition: &TopicPartition| {
                    let bounds = bounds::fetch(asker.inner(), &partition.topic, partition.partition, PATIENCE);
                    bounds.map(|bounds| {
                        (bounds, limits.get(&*partition.topic).copied().or(of_settings).unwrap_or_default())
                    })
                };
                match topic_ids(asker.inner(), &topics.iter().map(String::as_str).collect(), PATIENCE) {
                    Ok(ids) => needed.made_anew(&ids).into_iter().for_each(|anew| report(Seen::MadeAnew(anew))),
                    Err(error) => debug!(error, "cannot ask whether the topics are still the same; trying later"),
                }
                let Some(nearest) = nearest(&needed, &mut still, started.elapsed(), look) else { continue };
                say(&nearest, &mut quiet_until, remedy);
                report(Seen::Nearest(nearest));
            }
        };
        thread::Builder::new()
            .name(String::from("kafka-retention"))
            .spawn(watch)
            .map_err(|error| ClientError::Creation(format!("cannot start a thread: {error}")))?;
        Ok(Self { _ends_with_this: ends })
    }
}

/// Looks at every partition: at the bounds of its log, and at what is kept of it.
fn nearest(
    needed: &NeededOffsets,
    still: &mut StandingStill,
    now: Duration,
    look: impl Fn(&TopicPartition) -> Result<((i64, i64), RetentionLimits), KafkaError>,
) -> Option<NearestLoss> {
    let (mut nearest, mut near): (Option<NearestLoss>, usize) = (None, 0);
    let partitions: Vec<TopicPartition> = needed.lock().keys().cloned().collect();
    for partition in partitions {
        // One that nobody answers for must not hide the others.
        let ((log_start, log_end), limits) = match look(&partition) {
            Ok(seen) => seen,
            Err(error) => {
                debug!(%partition, %error, "cannot ask how much of the log is left; trying later");
                continue;
            }
        };
        // As it is now: asking may have taken a while, and a partition may have gone.
        let Some(resume) = needed.lock().get(&partition).map(|needed| needed.resume) else { continue };
        let (log_start, log_end) = (NextOffset(log_start), NextOffset(log_end));
        let needed_for = still.observe(&partition, resume, log_end, now);
        let distance = RetentionDistance { log_start, log_end, resume, needed_for, limits };
        near += usize::from(distance.is_near());
        if nearest.as_ref().is_none_or(|least| distance.share_left() < least.distance.share_left()) {
            nearest = Some(NearestLoss { partition, distance, near: 0 });
        }
    }
    nearest.map(|nearest| NearestLoss { near, ..nearest })
}

fn say(nearest: &NearestLoss, quiet_until: &mut Instant, remedy: &str) {
    let NearestLoss { partition, distance, near } = nearest;
    let (offsets_left, percent) = (distance.offsets_left(), distance.share_left() * 100.0);
    debug!(%partition, offsets_left, percent, "distance of the resume offset from the start of the log, nearest partition");
    if *near == 0 || Instant::now() < *quiet_until {
        return;
    }
    *quiet_until = Instant::now() + WARN_AGAIN;
    warn!(
        %partition, resume = %distance.resume, log_start = %distance.log_start, log_end = %distance.log_end, offsets_left,
        needed_for = ?distance.needed_for, partitions_near = near,
        "the broker may soon delete ticks that the lake still needs: {percent:.0} % of what it keeps is left; {remedy}"
    );
}

#[cfg(test)]
mod tests;
