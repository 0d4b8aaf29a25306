//! Date directories that stand durably where they do, so that their parent need not be synced again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::dirs::DirId;

/// How many are remembered: those in use are one or two in each dataset.
const MOST: usize = 16;

/// Another directory under the same name is another one.
#[derive(Default)]
pub(super) struct SettledDates(Mutex<HashMap<PathBuf, DirId>>);

impl SettledDates {
    /// `id`: of what stands there now; `None`: nothing.
    pub fn contain(&self, date: &Path, id: Option<DirId>) -> bool {
        id.is_some() && self.lock().get(date).copied() == id
    }

    pub fn add(&self, date: &Path, id: Option<DirId>) {
        let Some(id) = id else { return };
        let mut dates = self.lock();
        if dates.len() >= MOST {
            dates.clear();
        }
        dates.insert(date.to_owned(), id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, DirId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
