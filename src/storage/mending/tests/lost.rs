//! What a taker is told about commits that it, or one before it, has put aside.

use super::*;

/// Takes the partition, and goes on in the same log; what is told of commits put aside.
fn told(lake: &Lake) -> Vec<LostCommits> {
    let mut told = Vec::new();
    let taken = lake.take(&partition(), |newest, aside| {
        told = aside.to_vec();
        go_on(newest, aside)
    });
    taken.unwrap();
    told
}

/// A lake of two commits, numbers 2 and 3, of which the second is torn under both its names.
fn torn() -> (tempfile::TempDir, Lake) {
    let (dir, lake) = lake();
    let (mut chain, _) = take(&lake);
    chain.commit(&step(0)).unwrap();
    let file = chain.commit(&step(1)).unwrap().unwrap();
    lake.publish_features(&file, &features_of(&step(1))).unwrap();
    std::fs::write(entry_path(dir.path(), 3), b"torn").unwrap();
    (dir, lake)
}

fn lost(bars: Option<LostBars>) -> LostCommits {
    LostCommits::of(CommitNumber(3), step(0).checkpoint.watermark, bars)
}

#[test]
fn a_taker_is_told_what_it_puts_aside_with_the_bars_that_the_features_tell() {
    let (_dir, lake) = torn();
    let rows = step(1).rows;
    let bars = LostBars::of(rows.iter().map(|bar| (bar.symbol.clone(), bar.window_start)));
    assert!(bars.is_some());
    assert_eq!(told(&lake), [lost(bars)]);
}

#[test]
fn it_is_told_until_the_chain_has_gone_on_beyond_it_also_after_a_death_on_the_way() {
    let (_dir, lake) = torn();
    let mut asked = 0;
    let dies = |newest, aside: &[LostCommits]| {
        asked += 1;
        // The first question is before anything is put aside, the second one after.
        if asked == 1 { go_on(newest, aside) } else { Err(StorageError::NoLake { path: "refused".into() }) }
    };
    lake.take(&partition(), dies).err().unwrap();
    for _ in 0..3 {
        assert_eq!(told(&lake), [lost(None)], "nothing has been committed since");
    }
    take(&lake).0.commit(&step(1)).unwrap();
    assert_eq!(told(&lake), []);
}

#[test]
fn a_start_that_is_refused_leaves_all_as_it_was_also_what_is_damaged() {
    let (dir, lake) = torn();
    let contents = || {
        let files = [Dataset::Bars, Dataset::Features].into_iter().flat_map(|dataset| published(dir.path(), dataset));
        let files = files.chain([2, 3].map(|number| entry_path(dir.path(), number)));
        files.map(|path| (std::fs::read(&path).unwrap(), path)).collect::<Vec<_>>()
    };
    let before = contents();
    let mut told = Vec::new();
    let refused = lake.take(&partition(), |newest, aside| {
        told.push((newest, aside.to_vec()));
        Err(StorageError::NoLake { path: "refused".into() })
    });
    assert!(matches!(refused.err(), Some(StorageError::NoLake { .. })));
    let rows = step(1).rows;
    let bars = LostBars::of(rows.iter().map(|bar| (bar.symbol.clone(), bar.window_start)));
    assert_eq!(told, [(Some(step(0).checkpoint), vec![lost(bars)])]);
    assert_eq!(contents(), before);
    take(&lake).0.commit(&step(1)).unwrap();
}

#[test]
fn a_whole_chain_tells_of_nothing() {
    let (_dir, lake) = lake();
    finish(&lake, 9).unwrap();
    assert_eq!(told(&lake), []);
}
