//! What the actors stand on: the lake, the broker and the clients, opened and checked before any actor starts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::info;

use crate::actors::partition_taker::LogOfRun;
use crate::kafka::backlog::Backlog;
use crate::kafka::client::ClientError;
use crate::kafka::dead_letters::DeadLetters;
use crate::kafka::embedded::{EmbeddedBroker, EmbeddedError};
use crate::kafka::publisher::Publisher;
use crate::kafka::source::LogBounds;
use crate::kafka::tail::bounds_of;
use crate::kafka::topics::{Topics, TopicsError};
use crate::market::checkpoint::TopicPartition;
use crate::market::symbol::Symbol;
use crate::settings::{KafkaMode, Layout, Settings};
use crate::storage::{Lake, LakeIdentity, Sharing, StorageError};
use crate::words::counted;

/// Why the work cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Lake(#[from] StorageError),
    #[error(transparent)]
    Broker(#[from] EmbeddedError),
    #[error(transparent)]
    Topics(#[from] TopicsError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Tail(#[from] crate::kafka::tail::TailError),
    #[error(
        "the group {group} has {}, and a replay must read its own ticks: stop what reads there, or give another kafka.group_id and --lake",
        counted(*members, "other member")
    )]
    GroupInUse { group: String, members: usize },
}

pub struct Ground {
    pub lake: Lake,
    pub bootstrap: String,
    pub log: LogOfRun,
    pub publisher: Publisher,
    pub letters: DeadLetters,
    pub backlog: Option<Backlog>,
    /// Its log ends with it. Goes last: a client without its broker complains.
    pub broker: Option<EmbeddedBroker>,
}

impl Ground {
    /// Opens everything. Blocks, up to some seconds.
    ///
    /// # Errors
    /// When the lake cannot be used, or no broker answers.
    pub fn prepare(settings: &Settings) -> Result<Arc<Self>, StartError> {
        let kafka = &settings.kafka;
        let lake = |sharing, cluster: &str| {
            let identity = LakeIdentity::of(kafka, cluster);
            Lake::open(&settings.lake.dir, settings.lake.compression, sharing, &identity)
        };
        let (lake, broker, bootstrap, log) = match kafka.mode {
            KafkaMode::Embedded => {
                let lake = lake(Sharing::Exclusive, LakeIdentity::EMBEDDED)?;
                let broker = EmbeddedBroker::start()?;
                let bootstrap = broker.bootstrap_servers().to_owned();
                let log = LogOfRun::Embedded { cluster: broker.cluster_id().to_owned() };
                (lake, Some(broker), bootstrap, log)
            }
            KafkaMode::Cluster => {
                let bootstrap = kafka.bootstrap_servers.clone();
                let cluster = Topics::of_cluster(kafka, &bootstrap).cluster_id()?;
                (lake(Sharing::Shared, &cluster)?, None, bootstrap, LogOfRun::Cluster { cluster })
            }
        };
        let backlog = broker.as_ref().map(|_| Backlog::default());
        let publisher = Publisher::connect(kafka, &bootstrap, backlog.clone())?;
        let letters = DeadLetters::connect(kafka, &bootstrap)?;
        info!(
            lake = %settings.lake.dir.display(),
            broker = %bootstrap,
            embedded = broker.is_some(),
            stocks = settings.stocks.len(),
            "starting"
        );
        Ok(Arc::new(Self { lake, broker, bootstrap, log, publisher, letters, backlog }))
    }

    fn topics<'a>(&'a self, settings: &'a Settings) -> Topics<'a> {
        match &self.broker {
            Some(broker) => Topics::of_embedded(&settings.kafka, broker),
            None => Topics::of_cluster(&settings.kafka, &self.bootstrap),
        }
    }

    /// Makes the topics of these stocks, where they are missing. Blocks, up to some seconds.
    ///
    /// # Errors
    /// When no broker answers, or a topic is not as it must be.
    pub fn ensure_topics(&self, settings: &Settings, symbols: &[Symbol]) -> Result<(), StartError> {
        self.topics(settings).ensure(symbols)?;
        if let Some(backlog) = &self.backlog {
            for symbol in symbols {
                let topic = crate::kafka::topics::topic_of(&settings.kafka, symbol);
                let partitions = match settings.kafka.layout {
                    Layout::PerStock => 1,
                    Layout::Keyed => settings.kafka.partitions,
                };
                backlog.add_topic(&topic, partitions);
            }
        }
        Ok(())
    }
}

/// The cluster's id, and where the logs of these partitions begin and end, of those that it has.
///
/// # Errors
/// When no broker answers.
pub fn bounds_on_cluster(
    settings: &Settings,
    partitions: &BTreeSet<TopicPartition>,
) -> Result<(String, BTreeMap<TopicPartition, LogBounds>), StartError> {
    let kafka = &settings.kafka;
    // The greeting says best why a broker lets nobody in.
    let cluster = Topics::of_cluster(kafka, &kafka.bootstrap_servers).cluster_id()?;
    Ok((cluster, bounds_of(kafka, &kafka.bootstrap_servers, partitions)?))
}

/// # Errors
/// When somebody reads in the group on this cluster, or it cannot be asked.
pub fn refuse_other_members(settings: &Settings) -> Result<(), StartError> {
    let kafka = &settings.kafka;
    match Topics::of_cluster(kafka, &kafka.bootstrap_servers).group_members()? {
        0 => Ok(()),
        members => Err(StartError::GroupInUse { group: kafka.group_id.clone(), members }),
    }
}
