/// Divides with banker's rounding: a tie goes to the even neighbour.
pub fn round_half_even(numerator: i64, denominator: i64) -> i64 {
    let quotient = numerator.div_euclid(denominator);
    let rest = numerator.rem_euclid(denominator) * 2;
    match rest.cmp(&denominator) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Greater => quotient + 1,
        std::cmp::Ordering::Equal => quotient + (quotient & 1),
    }
}

/// Swiss cash has no coin below five rappen.
pub fn round_to_five(cents: i64) -> i64 {
    round_half_even(cents, 5) * 5
}

/// Cuts an amount into `parts` that differ by a cent at most and add up to the whole.
pub fn split_evenly(cents: i64, parts: usize) -> Vec<i64> {
    let count = parts as i64;
    let base = cents.div_euclid(count);
    let extra = cents.rem_euclid(count);
    (0..count).map(|i| if i < extra { base + 1 } else { base }).collect()
}
