//! Waiting for a condition with a deadline: the only way anything here waits.

use anyhow::{Context as _, Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at again. A look that starts `kubectl` costs some 60 ms of a core by itself.
const POLL: Duration = Duration::from_millis(50);

/// Looks until `condition` answers something, at least once, and fails when `limit` is over.
///
/// `what` completes the sentence "waited … for …".
///
/// # Errors
/// When the time is over, with the condition's last error if it had one.
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        let answer = condition();
        if let Ok(Some(value)) = answer {
            return Ok(value);
        }
        if began.elapsed() >= limit {
            let waited = format!("waited {:.1} s in vain for {what}", began.elapsed().as_secs_f32());
            answer.context(waited.clone())?;
            bail!(waited);
        }
        std::thread::park_timeout(POLL);
    }
}

/// [`until`] for a condition that cannot fail and answers nothing.
///
/// # Errors
/// When the time is over.
pub fn until_true(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    until(what, limit, || Ok(condition().then_some(())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_looked_at_until_it_holds() {
        let mut looks = 0;
        let answer = until("the third look", Duration::from_secs(60), || {
            looks += 1;
            if looks == 2 {
                bail!("not a reason to stop")
            }
            Ok((looks == 3).then_some("there"))
        });
        assert_eq!(answer.expect("holds at the third look"), "there");
    }

    #[test]
    fn what_was_waited_for_and_the_last_error_are_told() {
        let failed = until::<()>("a miracle", Duration::ZERO, || bail!("no such thing"));
        let text = format!("{:#}", failed.expect_err("cannot hold"));
        assert!(text.contains("in vain for a miracle") && text.contains("no such thing"), "{text}");
    }
}
