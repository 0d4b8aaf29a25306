//! A source of records that gives what a test has put down.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::actors::testing::{minute, partition};
use crate::kafka::source::{RecordSource, SourceError, SourceEvent};
use crate::market::checkpoint::{NextOffset, TopicPartition};
use crate::market::time::EventTime;

/// An event to come.
pub enum Given {
    Assigned(TopicPartition),
    Revoked(TopicPartition),
    Record { partition: TopicPartition, offset: i64, timestamp: Option<EventTime>, payload: Vec<u8> },
    End(TopicPartition, NextOffset),
    Error(SourceError),
}

/// What is to come, and what was asked.
#[derive(Default)]
pub struct Script {
    pub events: VecDeque<Given>,
    /// `None`: no broker answers.
    pub log_end: Option<NextOffset>,
    pub refuse_topics: bool,
    pub paused: bool,
    pub polls: u64,
    pub pauses: u64,
    pub topics: Vec<Vec<String>>,
    pub committed: Vec<NextOffset>,
    pub closed: bool,
    /// What the wall clock shows; `None`: a far future.
    pub wall: Option<EventTime>,
    pub held: Vec<TopicPartition>,
    pub restarted: usize,
    /// How the next restarts fail.
    pub refuse_restarts: VecDeque<SourceError>,
}

pub struct Scripted(pub Arc<Mutex<Script>>);

impl Script {
    pub fn give(&mut self, event: Given) {
        self.events.push_back(event);
    }

    /// A line of the log of [`partition`], published long after its event time.
    pub fn line(&mut self, offset: i64, payload: &str) {
        let (timestamp, payload) = (Some(minute(900_000)), payload.as_bytes().to_vec());
        self.give(Given::Record { partition: partition(), offset, timestamp, payload });
        self.log_end = Some(NextOffset(offset + 1));
    }

    pub fn tick(&mut self, offset: i64, name: &str, minutes: i64) {
        self.line(offset, &format!("{},{name},10", minute(minutes).micros()));
    }

    /// The end of the log behind what was given, as the source says it.
    pub fn end(&mut self) {
        let end = self.log_end.unwrap_or_default();
        self.log_end = Some(end);
        self.give(Given::End(partition(), end));
    }
}

fn no_answer() -> SourceError {
    SourceError::NoAnswer { partition: partition(), reason: "nobody there".into() }
}

impl RecordSource for Scripted {
    fn subscribe(&mut self, topics: &[String]) -> Result<(), SourceError> {
        let mut script = self.0.lock().unwrap();
        script.topics.push(topics.to_vec());
        if script.refuse_topics { Err(SourceError::Fatal("no such topic".into())) } else { Ok(()) }
    }

    fn poll(&mut self, max: usize, _: Duration, sink: &mut dyn FnMut(SourceEvent<'_>)) {
        let mut script = self.0.lock().unwrap();
        script.polls += 1;
        for _ in 0..max {
            if script.paused && matches!(script.events.front(), Some(Given::Record { .. })) {
                return;
            }
            match script.events.pop_front() {
                None => return,
                Some(Given::Assigned(partition)) => sink(SourceEvent::Assigned(&partition)),
                Some(Given::Revoked(partition)) => sink(SourceEvent::Revoked(partition)),
                Some(Given::End(partition, end)) => sink(SourceEvent::EndOfPartition(&partition, end)),
                Some(Given::Error(error)) => sink(SourceEvent::Error(error)),
                Some(Given::Record { partition, offset, timestamp, payload }) => {
                    let (partition, payload) = (&partition, &payload[..]);
                    sink(SourceEvent::Record { partition, offset, timestamp, key: None, payload });
                }
            }
        }
    }

    fn pause(&mut self) {
        let mut script = self.0.lock().unwrap();
        script.paused = true;
        script.pauses += 1;
    }

    fn resume(&mut self) {
        self.0.lock().unwrap().paused = false;
    }

    fn hold(&mut self, partition: &TopicPartition) {
        self.0.lock().unwrap().held.push(partition.clone());
    }

    fn restart(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        let mut script = self.0.lock().unwrap();
        if let Some(error) = script.refuse_restarts.pop_front() {
            return Err(error);
        }
        script.held.retain(|held| held != partition);
        script.restarted += 1;
        Ok(())
    }

    fn commit_async(&mut self, _: &TopicPartition, next: NextOffset) {
        self.0.lock().unwrap().committed.push(next);
    }

    fn fetched_end(&self, _: &TopicPartition) -> Option<NextOffset> {
        self.0.lock().unwrap().log_end
    }

    fn log_end(&mut self, _: &TopicPartition, _: Duration) -> Result<NextOffset, SourceError> {
        self.0.lock().unwrap().log_end.ok_or_else(no_answer)
    }

    fn close(self: Box<Self>, _: Duration) -> Result<(), SourceError> {
        self.0.lock().unwrap().closed = true;
        Ok(())
    }
}
