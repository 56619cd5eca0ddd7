//! What this process may use, and what processes use: read from the kernel. Parsing is pure, reading is a line each.

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit};
use nix::time::ClockId;
use nix::unistd::Pid;
use std::path::Path;
use std::time::Duration;

/// Larger limits of memory are none: cgroup v1 writes 2⁶³ less a page.
const MEMORY_BYTES_MAX: u64 = 1 << 60;

/// What this process may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Machine {
    /// Cores: those that the scheduler may give it, or the share of its cgroup if that is less.
    pub cores: f64,
    /// Memory that its cgroup may have, if it is bounded.
    pub memory_bytes: Option<u64>,
    /// Descriptors that a process may have.
    pub descriptors: u64,
}

impl Machine {
    /// Reads it.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn read() -> anyhow::Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status").context("failed to read /proc/self/status")?;
        let allowed = cpus_allowed(&status).context("/proc/self/status names no processors")?;
        let quota = cgroup(&["cpu.max"])
            .and_then(|text| quota_v2(&text))
            .or_else(|| quota_v1(&cgroup(&["cpu/cpu.cfs_quota_us"])?, &cgroup(&["cpu/cpu.cfs_period_us"])?));
        let memory = cgroup(&["memory.max", "memory/memory.limit_in_bytes"]).and_then(|text| memory(&text));
        let (_, descriptors) = getrlimit(Resource::RLIMIT_NOFILE).context("failed to read the limit of open files")?;
        Ok(Self { cores: quota.map_or(allowed, |quota| quota.min(allowed)), memory_bytes: memory, descriptors })
    }
}

/// How often the kernel stopped the processes of this cgroup because they had used up their share.
#[must_use]
pub fn throttled() -> u64 {
    cgroup(&["cpu.stat", "cpu/cpu.stat"]).and_then(|text| number(&text, "nr_throttled ")).unwrap_or(0)
}

/// Processor time of a process, all threads. The sum of utime and stime in /proc/PID/stat is the same in steps of 10 ms.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: i32) -> anyhow::Result<Duration> {
    let failed = || format!("failed to read the processor time of process {pid}");
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid)).with_context(failed)?;
    Ok(clock.now().with_context(failed)?.into())
}

/// Processor time of this process.
///
/// # Errors
/// When the kernel does not say.
pub fn own_cpu_time() -> anyhow::Result<Duration> {
    let clock = ClockId::CLOCK_PROCESS_CPUTIME_ID;
    Ok(clock.now().context("failed to read the processor time of this process")?.into())
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// All of it that is in memory, in bytes.
    pub resident_bytes: u64,
    /// What of that no file stands behind: what its work takes.
    pub anonymous_bytes: u64,
}

/// Reads the memory of a process.
///
/// # Errors
/// When there is no such process.
pub fn memory_of(pid: i32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
    parse_memory(&status).with_context(|| format!("{path} tells no memory"))
}

/// The first of these files of the cgroup. Containers see their own cgroup there; outside of one it is the whole machine's.
fn cgroup(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(name)).ok())
}

/// The bits of `Cpus_allowed: ff,ffffffff`.
fn cpus_allowed(status: &str) -> Option<f64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed:"))?;
    let count: u32 = mask.chars().filter_map(|digit| digit.to_digit(16)).map(u32::count_ones).sum();
    (count > 0).then_some(f64::from(count))
}

/// `150000 100000`, or `max 100000`.
fn quota_v2(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    quota_v1(quota, period)
}

/// `150000` of `100000`; -1 is no limit.
fn quota_v1(quota: &str, period: &str) -> Option<f64> {
    let (quota, period) = (quota.trim().parse::<f64>().ok()?, period.trim().parse::<f64>().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

fn memory(text: &str) -> Option<u64> {
    text.trim().parse().ok().filter(|bytes| *bytes < MEMORY_BYTES_MAX)
}

fn number(text: &str, prefix: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(prefix))?.trim().parse().ok()
}

fn parse_memory(status: &str) -> Option<Memory> {
    let kib = |field: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(field))?;
        value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    Some(Memory { resident_bytes: kib("VmRSS:")? * 1_024, anonymous_bytes: kib("RssAnon:")? * 1_024 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_used_is_the_lesser_of_processors_and_share() {
        assert_eq!(cpus_allowed("Name:\tx\nCpus_allowed:\tf,0000000f\nCpus_allowed_list:\t0-3,32-35\n"), Some(8.0));
        assert_eq!(cpus_allowed("Name:\tx\n"), None);
        for (text, cores) in [("150000 100000\n", Some(1.5)), ("max 100000\n", None), ("", None)] {
            assert_eq!(quota_v2(text), cores, "{text}");
        }
        assert_eq!((quota_v1("200000\n", "100000\n"), quota_v1("-1\n", "100000\n")), (Some(2.0), None));
        for (text, bytes) in [("536870912\n", Some(512 << 20)), ("max\n", None), ("9223372036854771712\n", None)] {
            assert_eq!(memory(text), bytes, "{text}");
        }
        assert_eq!(number("nr_periods 8\nnr_throttled 3\n", "nr_throttled "), Some(3));
    }

    #[test]
    fn this_process_uses_time_and_memory() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let before = cpu_time(pid).unwrap();
        let memory = memory_of(pid).unwrap();
        assert!(memory.anonymous_bytes > 0 && memory.resident_bytes >= memory.anonymous_bytes, "{memory:?}");
        assert!(own_cpu_time().unwrap() >= before);
        assert!(Machine::read().unwrap().cores > 0.0);
        // The kernel gives out no number above 4,194,304 (PID_MAX_LIMIT).
        assert!(cpu_time(4_194_305).is_err());
    }
}
