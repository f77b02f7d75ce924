//! Mutants of kept inputs, by number: the same number, the same mutant.

use tercet_wire::spread;

/// Pieces that mean something to one parser or another.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"true",
    b"-1",
    b"1e400",
    b"0.1",
    b"18446744073709551616",
    b"\\u0000",
    b"\\ud800",
    b"%00",
    b"%2e%2e",
    b"//",
    b"@",
    b"?",
    b"#",
    b"\r\n",
    "é".as_bytes(),
];

/// One mutation.
#[derive(Debug)]
pub(crate) struct Mutation {
    number: u64,
    uses: u64,
}

impl Mutation {
    pub(crate) fn of(number: u64) -> Self {
        Self { number, uses: 0 }
    }

    /// The mutant of one of these inputs.
    pub(crate) fn apply(mut self, inputs: &[&[u8]]) -> Vec<u8> {
        let mut data = inputs[self.below(inputs.len())].to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(data.len() + 1);
            let end = (at + self.below(8)).min(data.len());
            match self.below(7) {
                0 => drop(data.drain(at..end)),
                1 => data.truncate(at),
                2 => data.insert(at, self.byte()),
                3 if at < data.len() => data[at] ^= 1 << self.below(8),
                4 => drop(data.splice(at..end, PIECES[self.below(PIECES.len())].iter().copied())),
                5 => {
                    let again = data[at..].to_vec();
                    data.extend(again);
                }
                _ => {
                    let other = inputs[self.below(inputs.len())];
                    let from = self.below(other.len() + 1);
                    data.splice(at.., other[from..].iter().copied());
                }
            }
        }
        data
    }

    fn byte(&mut self) -> u8 {
        self.entropy().to_le_bytes()[0]
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.entropy() % count.max(1) as u64).unwrap_or_default()
    }

    fn entropy(&mut self) -> u64 {
        self.uses += 1;
        spread(self.number, self.uses)
    }
}
