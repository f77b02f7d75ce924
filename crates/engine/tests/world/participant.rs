//! A participant with the guard that every participant needs.

use tercet_wire::Op;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Participant {
    recorded: Option<Op>,
    /// Its branch has no Try leg, so a Confirm that comes first is run.
    without_try: bool,
    /// Whether the business effect of Try, Confirm and Cancel was had, in that order.
    effects: [bool; 3],
}

impl Participant {
    pub(crate) fn new(without_try: bool) -> Self {
        Self { without_try, ..Self::default() }
    }

    /// The status it answers, or how the coordinator has wronged it.
    pub(crate) fn called(&mut self, op: Op, refuse: bool) -> Result<u16, &'static str> {
        match (op, self.recorded) {
            (Op::Try, None) if refuse => Ok(409),
            (Op::Try, None) => {
                self.recorded = Some(Op::Try);
                self.effects[0] = true;
                Ok(200)
            }
            (Op::Try, Some(Op::Try | Op::Confirm)) => Ok(200),
            // The hanging Try: it came after its own Cancel.
            (Op::Try, Some(Op::Cancel)) => Ok(409),
            (Op::Confirm, None) if self.without_try => {
                self.recorded = Some(Op::Confirm);
                self.effects[1] = true;
                Ok(200)
            }
            (Op::Confirm, Some(Op::Try)) => {
                self.recorded = Some(Op::Confirm);
                self.effects[1] = true;
                Ok(200)
            }
            (Op::Confirm, Some(Op::Confirm)) => Ok(200),
            (Op::Confirm, None) => Err("told to confirm what it never reserved"),
            (Op::Confirm, Some(Op::Cancel)) => Err("told to confirm after cancel"),
            // The empty Cancel: recorded, and nothing to release.
            (Op::Cancel, None) => {
                self.recorded = Some(Op::Cancel);
                Ok(200)
            }
            (Op::Cancel, Some(Op::Try)) => {
                self.recorded = Some(Op::Cancel);
                self.effects[2] = true;
                Ok(200)
            }
            (Op::Cancel, Some(Op::Cancel)) => Ok(200),
            (Op::Cancel, Some(Op::Confirm)) => Err("told to cancel after confirm"),
        }
    }

    /// The decision it has acknowledged.
    pub(crate) fn acknowledged(&self) -> Option<Op> {
        self.recorded.filter(|op| *op != Op::Try)
    }

    pub(crate) fn in_short(&self) -> &'static str {
        match self.recorded {
            None => "untouched",
            Some(Op::Try) => "reserved",
            Some(Op::Confirm) => "taken",
            Some(Op::Cancel) => "released",
        }
    }
}
