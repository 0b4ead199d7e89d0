//! Bytes to put into files: the same for the same seed.

/// The next state of a generator that no run changes (xorshift64).
fn next(state: u64) -> u64 {
    let state = state ^ (state << 13);
    let state = state ^ (state >> 7);
    state ^ (state << 17)
}

/// The states that follow a seed.
fn states(seed: u64) -> impl Iterator<Item = u64> {
    let first = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::successors(Some(next(first)), |state| Some(next(*state)))
}

/// Returns bytes that compress a little: each is one of sixteen.
pub fn some_text(count: usize, seed: u64) -> Vec<u8> {
    states(seed).take(count).map(|state| b"etaoin shrdlucm "[(state >> 60) as usize]).collect()
}

/// Returns bytes that nothing compresses.
pub fn noise(count: usize, seed: u64) -> Vec<u8> {
    states(seed).take(count).map(|state| (state >> 56) as u8).collect()
}
