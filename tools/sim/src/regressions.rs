//! Seeds that once showed a fault. They are run always. A change to what a seed means makes them
//! ordinary seeds and does no harm: the courses of events they showed are also told by hand, in
//! the tests of `tercet-engine`.

/// A seed, and what it showed.
pub const REGRESSIONS: &[(u64, &str)] = &[
    (4346, "finished, and still shown as parked: a crash came between two rows"),
    (11, "called before the time it had asked for, since its destination had healed"),
    (4413, "called 26 times in 10 s, since what rests forgot its pace"),
    (24792, "it rested, was asked for in vain, and was never looked for again"),
    (12157, "it swept the journal without a pause while a load hung"),
    (719, "a late answer of the journal brought a finished transaction back to life"),
    (14, "called before the time it had asked for, since it had rested meanwhile"),
    (54224, "it rested while a new one had its gid by chance, and was never looked for again"),
    (58236, "called though it had acknowledged, late, while it was leaving to rest"),
    (202, "called before its time, since another that was put off had its own"),
    (1497, "called before its time, since another that was put off had its own"),
    (
        101_677,
        "asked for ever and not shown: paused when it left memory, resumed before it was read",
    ),
    (200_485, "shown too late: paused when it left memory, while another had asked for time"),
    (7862, "put off anew since the wall clock was behind, and shown to people too late"),
];
