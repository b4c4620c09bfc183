//! The system's service manager.

/// The environment by which a service manager names the socket, and how often it wants to hear of us.
pub(super) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
