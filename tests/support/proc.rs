//! What a process uses, by /proc.

/// Memory in MiB and open descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    pub resident_mib: u64,
    pub descriptors: usize,
}

impl Usage {
    /// The process must be alive.
    pub fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is alive");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let kib: u64 = resident.trim().trim_end_matches(" kB").parse().expect("a number of kB");
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours").count();
        Self { resident_mib: kib / 1024, descriptors }
    }

    /// No more than before, but for what allocators keep and connections come and go.
    #[track_caller]
    pub fn assert_flat_since(&self, before: &Usage) {
        assert!(self.resident_mib <= before.resident_mib + 64, "memory grew: {before:?}, then {self:?}");
        assert!(self.descriptors <= before.descriptors + 16, "descriptors leak: {before:?}, then {self:?}");
    }
}
