//! What can be done about what is wrong with a lake.

use serde::Serialize;

/// What helps against a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Everything needed to put it right is in the lake.
    Repair,
    /// The log has what is needed.
    NextStart,
    /// Nothing is wrong with the bars, and it goes by itself.
    NextCommits,
    /// It is not of the lake.
    MoveOut,
    /// Two files contradict each other, and each holds what the other lacks: only a person can know which is of the lake.
    MoveOneOut,
    /// What it held is nowhere in the lake.
    RestoreOrReplay,
    /// What it held is nowhere in the lake, and the log that gave it has ended, or lost it.
    Restore,
    /// The same, and the next start goes on without it.
    RestoreBeforeStart,
    /// The log of a process is giving it again, if that still runs.
    WaitOrRestore,
    /// It says whom the lake belongs to, and only a person can know that.
    RestoreIdentity,
    /// A later version of this program wrote it.
    NewerProgram,
    /// The system refuses to read it.
    CheckDisk,
    /// The log is not the one that the lake was made from.
    OtherLog,
}

impl Remedy {
    /// What to do.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Repair => "`stockstream verify --repair` puts it right",
            Self::NextStart => "the next start of stockstream makes it again from the log, while that holds it",
            Self::NextCommits => "nothing needs to be done: the chain lets go of it with its next commits",
            Self::MoveOut => "move it out of the lake",
            Self::MoveOneOut => {
                "find out which of the two is of this lake, move the other one out and keep it, then `stockstream verify --repair` \
                 puts the rest right"
            }
            Self::RestoreOrReplay => "restore it from a backup; without one, replay the topic into another lake",
            Self::Restore => {
                "only a backup of the lake has it: the log has its ticks no more, for that has ended with its process, or the broker has \
                 deleted them (a file of ticks can be replayed again, into another lake)"
            }
            Self::RestoreBeforeStart => {
                "restore it from a backup, and before the next start: that goes on without it, and its bars are lost, for the log \
                 that they were made from has ended with its process"
            }
            Self::WaitOrRestore => {
                "while the program runs, wait: it makes them again from its log; if it does not run, that log has ended with its process: \
                 only a backup of the lake has them, and the next start records them as lost"
            }
            Self::RestoreIdentity => {
                "restore it from a copy: where it is missing the next start records its own group, cluster and layout, so one on \
                 another cluster or group would not be refused; without a copy, remove what is left of it and make that start with \
                 those of this lake"
            }
            Self::NewerProgram => "use the newer program",
            Self::CheckDisk => "look at the disk, and whether this user may read it",
            Self::OtherLog => "connect to the cluster and topic of this lake, or begin another lake for this topic",
        }
    }

    /// What helps in a lake of the embedded broker, whose log is gone by the time that somebody looks for help.
    pub fn without_log(self) -> Self {
        match self {
            Self::NextStart => Self::RestoreBeforeStart,
            Self::RestoreOrReplay => Self::Restore,
            other => other,
        }
    }
}
