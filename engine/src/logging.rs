//! What the program says on standard error: one line a message, its level first where it matters.

use std::io::Write as _;

use log::{Level, LevelFilter, Log, Metadata, Record};

/// The target of what is said of every change, whatever else is shown.
const AUDIT: &str = "audit";

struct StandardError;

impl Log for StandardError {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // The libraries' own chatter is for those who debug them. The dip lane's calls every
        // connection that ends an error.
        let target = metadata.target();
        metadata.level() <= log::max_level()
            && (target.starts_with("sentrypeer")
                || target == AUDIT
                || (metadata.level() <= Level::Warn && !target.starts_with("may")))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        // When nobody reads standard error there is nobody to tell.
        let _ = match record.level() {
            _ if record.target() == AUDIT => {
                writeln!(stderr, "sentrypeer: audit: {}", record.args())
            }
            Level::Error => writeln!(stderr, "sentrypeer: error: {}", record.args()),
            Level::Warn => writeln!(stderr, "sentrypeer: warning: {}", record.args()),
            Level::Info => writeln!(stderr, "sentrypeer: {}", record.args()),
            Level::Debug => writeln!(stderr, "sentrypeer: debug: {}", record.args()),
            Level::Trace => writeln!(stderr, "sentrypeer: trace: {}", record.args()),
        };
    }

    fn flush(&self) {}
}

/// Makes the `log` macros write to standard error, down to `level`. Later calls only set the level.
pub fn start(level: LevelFilter) {
    static LOGGER: StandardError = StandardError;
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}
