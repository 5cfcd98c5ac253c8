//! Makes the system's allocator return large blocks.
//!
//! Loading a plugin needs some blocks as large as the component or its machine code. By default glibc stops mapping such
//! blocks one by one as soon as the first one is freed: from then on it takes blocks of that size from its heaps, whose
//! gaps it keeps. Figures are in docs/performance.md.

/// Blocks of this size are mapped one by one, and go back to the system when they are freed. Above what most tasks
/// allocate at once, because mapping costs more than reusing memory. In thirteen swaps of a plugin of 18 MB a worker
/// grows by 16 % with 4 MiB, and by 12 % with 1 MiB.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BYTES: i32 = 1 << 20;

/// To be called first in `main`, while there is one thread. Does nothing where the allocator is not glibc's.
#[cfg_attr(
    all(target_os = "linux", target_env = "gnu"),
    expect(unsafe_code, reason = "glibc's only way to set it, but for the environment")
)]
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` sets numbers of the allocator, and no other thread allocates yet. What it refuses stays as it
    // is.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_BYTES);
        // Setting one fixes both. Twice as much is the ratio that glibc keeps by itself.
        libc::mallopt(libc::M_TRIM_THRESHOLD, 2 * MAPPED_BYTES);
    }
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident_bytes() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    #[test]
    fn freed_large_blocks_go_back_although_small_ones_lie_between_them() {
        const LARGE: usize = 8 << 20;
        return_large_blocks();
        // As after a first plugin.
        drop(vec![1_u8; LARGE]);
        let blocks: Vec<_> = (0..16).map(|_| (vec![1_u8; LARGE], vec![1_u8; 1 << 10])).collect();
        let before = resident_bytes();
        let small: Vec<_> = blocks.into_iter().map(|(_, small)| small).collect();
        let returned = before.saturating_sub(resident_bytes());
        assert!(returned > 12 * LARGE, "{returned} bytes of {}", 16 * LARGE);
        drop(small);
    }
}
