//! What a watch has told, reduced to what is needed. Lists take effect as a whole; on errors what is known stays.

use kube::runtime::watcher::Event;
use std::collections::HashMap;

/// Objects of one kind by uid.
#[derive(Debug)]
pub struct ObjectStore<V> {
    known: HashMap<String, V>,
    listing: Option<HashMap<String, V>>,
    complete: bool,
}

impl<V> Default for ObjectStore<V> {
    fn default() -> Self {
        Self { known: HashMap::new(), listing: None, complete: false }
    }
}

impl<V: Clone> ObjectStore<V> {
    /// Takes in news. `read` gives the uid and what is kept of an object, knowing what was kept so far; nothing for
    /// objects that do not matter.
    pub fn take<K>(
        &mut self,
        news: Event<K>,
        uid: fn(&K) -> Option<String>,
        read: impl Fn(K, Option<&V>) -> Option<V>,
    ) {
        match news {
            Event::Init => self.listing = Some(HashMap::new()),
            Event::InitApply(object) => {
                let Some(uid) = uid(&object) else { return };
                let value = read(object, self.known.get(&uid));
                self.listing.get_or_insert_default().extend(value.map(|value| (uid, value)));
            }
            Event::InitDone => {
                self.known = self.listing.take().unwrap_or_default();
                self.complete = true;
            }
            Event::Apply(object) => {
                let Some(uid) = uid(&object) else { return };
                match read(object, self.known.get(&uid)) {
                    Some(value) => _ = self.known.insert(uid, value),
                    None => _ = self.known.remove(&uid),
                }
            }
            Event::Delete(object) => {
                if let Some(uid) = uid(&object) {
                    self.known.remove(&uid);
                }
            }
        }
    }

    /// There are none: the API server does not know the kind.
    pub fn none(&mut self) {
        self.known.clear();
        self.complete = true;
    }

    /// Everything was seen once.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.complete
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, uid: &str) -> Option<&V> {
        self.known.get(uid)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &V)> {
        self.known.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(mirror: &mut ObjectStore<u32>, news: Event<(&'static str, u32)>) {
        mirror.take(
            news,
            |(uid, _)| Some((*uid).to_owned()),
            |(_, value), before| (value < 100).then_some(value + before.copied().unwrap_or(0)),
        );
    }

    fn all(mirror: &ObjectStore<u32>) -> Vec<(&str, u32)> {
        let mut all: Vec<_> = mirror.iter().map(|(uid, value)| (uid.as_str(), *value)).collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn a_list_takes_effect_when_it_is_whole() {
        let mut mirror = ObjectStore::default();
        assert!(!mirror.complete());
        for news in [Event::Init, Event::InitApply(("a", 1)), Event::InitApply(("b", 2)), Event::InitDone] {
            take(&mut mirror, news);
        }
        assert!(mirror.complete());
        assert_eq!(all(&mirror), [("a", 1), ("b", 2)]);
        for news in [Event::Init, Event::InitApply(("b", 5))] {
            take(&mut mirror, news);
        }
        assert_eq!(all(&mirror), [("a", 1), ("b", 2)], "a list under way");
        take(&mut mirror, Event::InitDone);
        assert_eq!(all(&mirror), [("b", 7)], "what was known is seen by who reads");
    }

    #[test]
    fn what_does_not_matter_any_more_is_dropped() {
        let mut mirror = ObjectStore::default();
        take(&mut mirror, Event::Apply(("a", 1)));
        take(&mut mirror, Event::Apply(("b", 1)));
        take(&mut mirror, Event::Apply(("a", 100)));
        take(&mut mirror, Event::Delete(("b", 1)));
        assert_eq!(all(&mirror), []);
    }
}
