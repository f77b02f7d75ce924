//! Several nodes on one database: whose life is over, and how what it drove is shared out. Pure,
//! as all of the engine: rows and times come in, what is to be done goes out.
//!
//! ```text
//!  rows of nodes, every heartbeat ──▶ NodeWatch ──▶ Suspect ──▶ TakeOver ──▶ mark, find, take, remove
//!                                                               ▲            │
//!                                                               └─ answers ──┘  chunks: group commit
//! ```
//!
//! Nothing here decides whether a take-over is right: that does the fence, a count in the dead
//! life's row, which each of its batches must move on. A watch that is wrong costs a node its
//! life, never a transaction its one owner.

mod life_row;
mod lives;
mod share;
mod take_over;
mod watch;

pub use life_row::{LifeRow, LifeState};
pub use lives::{Judgement, Lives, judge};
pub use share::Share;
pub use take_over::{MOST_IN_CHUNK, TakeOver, TakeOverAnswer, TakeOverStep};
pub use watch::{Look, NodeWatch, NodeWatchSettings, Suspect, SuspectedFor};
