//! How many files a process may have open.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Takes as many as the system allows. A socket is a file: the soft limit (often 1,024) would end at a thousand viewers,
/// the hard one rarely does. Without leave to raise it the program goes on with what there is.
pub fn raise_limit() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(soft, hard, %error, "failed to raise the limit of open files");
    }
}
