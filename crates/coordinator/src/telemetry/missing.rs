//! Lines about lines that people do not see, and no others: these alone have no bound of their kind.

use super::kinds::LeftOut;
use super::writer::LogWriter;

/// What such lines are known by.
pub(super) const TARGET: &str = module_path!();

/// Tells of what is missing since this was last done.
pub(super) fn tell(writer: &LogWriter) {
    for LeftOut { event: of, lines } in writer.kinds.take_left_out() {
        tracing::warn!(
            event = "log_lines_left_out",
            of,
            lines,
            "so many more lines of this kind were not logged"
        );
    }
    let lines = writer.queue.take_lost();
    if lines > 0 {
        tracing::warn!(
            event = "log_lines_dropped",
            lines,
            "the log was not read: so many lines are lost"
        );
    }
}
