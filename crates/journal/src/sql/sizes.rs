//! How many rows a statement has whose text depends on it.

/// How many rows a statement for this many has: there are few kinds of statements, so that the
/// database has nearly always compiled it before. At most a quarter more; up to eight, none.
pub(crate) fn padded(count: usize) -> usize {
    // Four sizes from each power of two to the next.
    let step = (count.next_power_of_two() / 8).max(1);
    count.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::padded;

    #[test]
    fn few_sizes_of_statements_serve_all_batches_with_little_padding() {
        let exact: Vec<usize> = (1..=8).map(padded).collect();
        assert_eq!(exact, [1, 2, 3, 4, 5, 6, 7, 8]);
        for count in 1..=4_096 {
            assert!(padded(count) >= count && padded(count) * 4 <= count * 5, "{count}");
        }
        let mut sizes: Vec<usize> = (1..=512).map(padded).collect();
        sizes.dedup();
        assert_eq!(sizes.len(), 32);
    }
}
