//! What the kernel knows: the CPU time and the memory of processes, what it dropped, and whether the
//! machine was busy with something else.

use std::fs;
use std::io;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

/// CPU time that all threads of a process have had.
///
/// # Errors
///
/// If there is no such process.
pub fn cpu(pid: u32) -> io::Result<Duration> {
    // Nanoseconds of each thread that lives; those of dead ones are in `stat`, by clock ticks.
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: u64 = [11, 12].iter().filter_map(|&i| fields.get(i)?.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 1_000 / clock_ticks()))
}

/// CPU time of each thread of a process, with its name; threads of one name are added up.
///
/// # Errors
///
/// If there is no such process.
pub fn threads(pid: u32) -> io::Result<Vec<(String, Duration)>> {
    let mut threads: Vec<(String, Duration)> = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let read = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let name = read("comm").trim().to_owned();
        let ns = read("schedstat").split(' ').next().and_then(|ns| ns.parse().ok()).unwrap_or(0);
        match threads.iter_mut().find(|(known, _)| *known == name) {
            Some((_, time)) => *time += Duration::from_nanos(ns),
            None => threads.push((name, Duration::from_nanos(ns))),
        }
    }
    Ok(threads)
}

/// Resident memory of a process, in bytes.
///
/// # Errors
///
/// If there is no such process.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) * 1_024)
}

/// Open descriptors of a process.
///
/// # Errors
///
/// If there is no such process.
pub fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Datagrams that the kernel dropped at the sockets of a port that exist now.
#[must_use]
pub fn kernel_drops(port: u16) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].map(|path| fs::read_to_string(path).ok());
    let of_port = format!(":{port:04X}");
    let lines = tables.iter().flatten().flat_map(|table| table.lines().skip(1));
    let dropped = lines.filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        fields.get(1)?.ends_with(&of_port).then(|| fields.last()?.parse::<u64>().ok())?
    });
    dropped.sum()
}

fn clock_ticks() -> u64 {
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    u64::try_from(ticks).unwrap_or(100).max(1)
}

/// The time of all processors together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Processors {
    /// Working, without interrupts: those our own packets cause.
    working: Duration,
    /// Taken by the host of a virtual machine.
    stolen: Duration,
    /// All.
    all: Duration,
}

impl Processors {
    /// Until now.
    #[must_use]
    pub fn now() -> Self {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_ascii_whitespace().skip(1).filter_map(|t| t.parse().ok()).collect();
        let sum = |places: &[usize]| {
            let ticks: u64 = places.iter().filter_map(|&i| ticks.get(i)).sum();
            Duration::from_millis(ticks * 1_000 / clock_ticks())
        };
        Self { working: sum(&[0, 1, 2]), stolen: sum(&[7]), all: sum(&[0, 1, 2, 3, 4, 5, 6, 7]) }
    }

    /// What to say of the time from `before` until `self`, in which the measured processes took
    /// `ours`: nothing, or that the machine was busy with something else.
    #[must_use]
    pub fn busy_since(self, before: Self, ours: Duration) -> Option<String> {
        let all = self.all.saturating_sub(before.all).as_secs_f64();
        if all <= 0.0 {
            return None;
        }
        let working = self.working.saturating_sub(before.working).saturating_sub(ours);
        let others = 100.0 * working.as_secs_f64() / all;
        let stolen = 100.0 * self.stolen.saturating_sub(before.stolen).as_secs_f64() / all;
        (others > OTHERS_PERCENT_MAX || stolen > STOLEN_PERCENT_MAX).then(|| {
            format!("busy: others took {others:.0} %, the host {stolen:.0} %; do not believe it")
        })
    }
}

/// What others may take of the machine before a run is not to be believed. Below it are the shell
/// that started us, the kernel's own threads, and what clock ticks round away.
const OTHERS_PERCENT_MAX: f64 = 5.0;
/// What the host may take.
const STOLEN_PERCENT_MAX: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(working: u64, stolen: u64, all: u64) -> Processors {
        let [working, stolen, all] = [working, stolen, all].map(Duration::from_millis);
        Processors { working, stolen, all }
    }

    #[test]
    fn a_machine_that_does_something_else_is_busy() {
        let begin = at(1_000, 0, 10_000);
        let ours = Duration::from_millis(900);
        assert_eq!(at(2_000, 0, 12_000).busy_since(begin, ours), None, "5 % is the shell's");
        assert!(at(2_100, 0, 12_000).busy_since(begin, ours).is_some());
        assert!(at(1_900, 100, 12_000).busy_since(begin, ours).is_some());
        assert_eq!(begin.busy_since(begin, ours), None, "no time has passed");
    }

    #[test]
    fn a_process_knows_its_own_memory_time_and_descriptors() {
        let pid = std::process::id();
        assert!(resident_bytes(pid).unwrap() > 500_000);
        assert!(descriptors(pid).unwrap() >= 3);
        let before: Duration = threads(pid).unwrap().iter().map(|(_, time)| *time).sum();
        while threads(pid).unwrap().iter().map(|(_, time)| *time).sum::<Duration>() <= before {
            std::hint::black_box((0..100_000).sum::<u64>());
        }
        assert!(cpu(u32::MAX).is_err());
    }
}
