//! What the watches have told, by event. Filled by `watch`, read by every reconciliation.

use super::children::Children;
use super::kind::Kind;
use super::seen::{ObjectSeen, PodSeen};
use crate::backend::cluster::key::EventKey;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All of it.
#[derive(Default)]
pub struct Cache {
    objects: Mutex<HashMap<Kind, Shelf<ObjectSeen>>>,
    pods: Mutex<Shelf<PodSeen>>,
}

/// Things of one kind, by event and name: no namespace has two of a name. Sorted, so that the events of one namespace lie
/// beside each other.
type Shelf<T> = BTreeMap<EventKey, BTreeMap<String, Arc<T>>>;

/// What a watch tells.
pub enum News<T> {
    /// It is there, like this, and belongs to this event.
    Is(EventKey, String, T),
    /// What has this namespace and name is gone, or belongs to no event.
    Gone(String, String),
    /// Of its kind, in the namespace (None: in all), there are these and no others.
    Only(Option<String>, HashSet<(EventKey, String)>),
}

impl Cache {
    /// Takes in news of objects of `kind`; answers whose events they concern.
    pub fn object(&self, kind: Kind, news: News<ObjectSeen>) -> Vec<EventKey> {
        take_in(lock(&self.objects).entry(kind).or_default(), news)
    }

    /// Takes in news of pods.
    pub fn pod(&self, news: News<PodSeen>) -> Vec<EventKey> {
        take_in(&mut lock(&self.pods), news)
    }

    /// The objects and pods of `key`.
    #[must_use]
    pub fn children(&self, key: &EventKey) -> Children {
        let mut found = Children::default();
        for (kind, shelf) in lock(&self.objects).iter() {
            let all = shelf.get(key).into_iter().flatten();
            found.objects.extend(all.map(|(name, object)| ((*kind, name.clone()), Arc::clone(object))));
        }
        found.pods = lock(&self.pods).get(key).cloned().unwrap_or_default();
        found
    }
}

fn take_in<T: PartialEq>(shelf: &mut Shelf<T>, news: News<T>) -> Vec<EventKey> {
    match news {
        News::Is(event, name, now) => {
            let before = shelf.get(&event).and_then(|known| known.get(&name));
            if before.is_some_and(|before| **before == now) {
                return Vec::new();
            }
            // Only what is new to this event can have been another's: its label was changed.
            let other = if before.is_none() { take_out(shelf, &event.namespace, &name) } else { None };
            shelf.entry(event.clone()).or_default().insert(name, Arc::new(now));
            other.into_iter().chain([event]).collect()
        }
        News::Gone(namespace, name) => take_out(shelf, &namespace, &name).into_iter().collect(),
        News::Only(namespace, there) => {
            let mut concerned = Vec::new();
            shelf.retain(|event, known| {
                if namespace.as_ref().is_some_and(|namespace| *namespace != event.namespace) {
                    return true;
                }
                let before = known.len();
                known.retain(|name, _| there.contains(&(event.clone(), name.clone())));
                if known.len() != before {
                    concerned.push(event.clone());
                }
                !known.is_empty()
            });
            concerned
        }
    }
}

/// Takes what has this namespace and name off the shelf; answers whose it was.
fn take_out<T>(shelf: &mut Shelf<T>, namespace: &str, name: &str) -> Option<EventKey> {
    let first = EventKey { namespace: namespace.to_owned(), name: String::new() };
    let mut events = shelf.range_mut(first..).take_while(|(event, _)| event.namespace == namespace);
    let (event, left) = events.find_map(|(event, known)| known.remove(name).map(|_| (event.clone(), known.len())))?;
    if left == 0 {
        shelf.remove(&event);
    }
    Some(event)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing in here leaves half a change behind when it panics.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> EventKey {
        EventKey { namespace: namespace.into(), name: name.into() }
    }

    fn pod(ready: bool) -> PodSeen {
        PodSeen { ready, ..PodSeen::default() }
    }

    #[test]
    fn only_what_changed_is_news() {
        let cache = Cache::default();
        let gala = key("a", "gala");
        assert_eq!(cache.pod(News::Is(gala.clone(), "p".into(), pod(false))), vec![gala.clone()]);
        assert_eq!(cache.pod(News::Is(gala.clone(), "p".into(), pod(false))), vec![]);
        assert_eq!(cache.pod(News::Is(gala.clone(), "p".into(), pod(true))), vec![gala.clone()]);
        assert_eq!(cache.pod(News::Gone("a".into(), "p".into())), vec![gala.clone()]);
        assert_eq!(cache.pod(News::Gone("a".into(), "p".into())), vec![]);
        assert!(cache.children(&gala).pods.is_empty());
    }

    #[test]
    fn what_is_labelled_as_another_events_is_the_first_ones_no_longer() {
        let cache = Cache::default();
        let (gala, other, elsewhere) = (key("a", "gala"), key("a", "other"), key("b", "gala"));
        cache.pod(News::Is(gala.clone(), "p".into(), pod(true)));
        cache.pod(News::Is(gala.clone(), "q".into(), pod(true)));
        cache.pod(News::Is(elsewhere.clone(), "p".into(), pod(true)));
        let moved = cache.pod(News::Is(other.clone(), "p".into(), pod(true)));
        assert_eq!(moved, vec![gala.clone(), other.clone()], "both are looked at");
        let names = |key: &EventKey| cache.children(key).pods.into_keys().collect::<Vec<_>>();
        assert_eq!((names(&gala), names(&other)), (vec!["q".to_owned()], vec!["p".to_owned()]));
        assert_eq!(names(&elsewhere), ["p"], "of another namespace");
        assert_eq!(cache.pod(News::Is(gala.clone(), "p".into(), pod(true))), vec![other.clone(), gala.clone()]);
        assert_eq!((names(&gala).len(), names(&other).len()), (2, 0), "and back");
    }

    #[test]
    fn a_watch_that_starts_again_forgets_what_is_gone_in_its_namespace_alone() {
        let cache = Cache::default();
        let (here, there) = (key("a", "gala"), key("b", "gala"));
        for event in [&here, &there] {
            for name in ["p", "q"] {
                cache.pod(News::Is(event.clone(), name.into(), pod(true)));
            }
        }
        let left = HashSet::from([(here.clone(), "q".to_owned())]);
        assert_eq!(cache.pod(News::Only(Some("a".into()), left)), vec![here.clone()]);
        assert_eq!(cache.children(&here).pods.keys().collect::<Vec<_>>(), ["q"]);
        assert_eq!(cache.children(&there).pods.len(), 2);
    }
}
