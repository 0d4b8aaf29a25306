//! The rules that a store over the model of a disk can break: it leaves out a step or takes it at another time.

/// A rule of the storage that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreRule {
    /// A commit takes the place of an entry that has its number.
    PutReplaces,
    /// After its commit an owner does not see that there is a higher number.
    NothingAboveIsSeen,
    /// The empty entry of a taker is not written.
    FenceIsNotWritten,
    /// A taker writes its empty entry first and publishes the newest entry then.
    FenceBeforePublish,
    /// The next commit is made before the one before it is public.
    NextBeforePublish,
    /// Rows are public before their entry is in the chain.
    PublishBeforeCommit,
    /// A fenced owner takes its entry away again.
    FencedRemovesItsOwn,
    /// The bytes of an entry are not synced before it has a name.
    DataIsNotSynced,
    /// The chain's directory is not synced.
    ChainIsNotSynced,
    /// A taker trusts what it finds: it has not been synced by itself.
    TakenIsNotSynced,
    /// The date's directory and its parent are not synced.
    PublishIsNotSynced,
    /// The date's directory is synced, its parent is not.
    PublishForgetsTheParent,
    /// The features' directories are not synced.
    FeaturesAreNotSynced,
    /// What dead processes left is not removed.
    NothingIsSwept,
    /// An entry put aside does not keep its number.
    PutAsideFreesTheNumber,
    /// What an entry put aside had published is not withdrawn.
    NothingIsWithdrawn,
}
