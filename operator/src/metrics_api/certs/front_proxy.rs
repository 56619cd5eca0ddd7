//! Whose client certificates are accepted: what the API server publishes about its front proxy in ConfigMap
//! kube-system/extension-apiserver-authentication. It is watched: authorities are rotated.

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use tokio::sync::watch;

const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
const AUTHORITIES: &str = "requestheader-client-ca-file";
const ALLOWED_NAMES: &str = "requestheader-allowed-names";

/// What is known of the front proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FrontProxy {
    /// Nothing yet.
    #[default]
    Unasked,
    /// There is none, or it may not be known: no client can ask for metrics through the API server.
    Absent,
    /// This one.
    Known {
        /// Who signs its certificates, as PEM.
        authorities: String,
        /// Names it may have; empty: every one.
        allowed_names: Vec<String>,
    },
}

/// Follows the ConfigMap for ever.
pub async fn follow(client: Client, told: watch::Sender<FrontProxy>) {
    let api: Api<ConfigMap> = Api::namespaced(client, NAMESPACE);
    let mut news = std::pin::pin!(watcher::watch_object(api, CONFIG_MAP).default_backoff());
    let mut failing = false;
    while let Some(news) = news.next().await {
        match news {
            Ok(found) => {
                failing = false;
                let now = found.map_or(FrontProxy::Absent, |found| read(&found));
                if now == FrontProxy::Absent {
                    tracing::warn!("{NAMESPACE}/{CONFIG_MAP} names no front proxy: no client can ask for metrics");
                }
                told.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        %error,
                        "failed to watch {NAMESPACE}/{CONFIG_MAP}; what is known stays. Through the API server no client \
                         can ask for metrics until it was read once (RoleBinding to extension-apiserver-authentication-reader)"
                    );
                }
                told.send_if_modified(|known| {
                    let first = *known == FrontProxy::Unasked;
                    if first {
                        *known = FrontProxy::Absent;
                    }
                    first
                });
            }
        }
    }
}

fn read(found: &ConfigMap) -> FrontProxy {
    let data = |key: &str| found.data.as_ref().and_then(|data| data.get(key)).map(String::as_str).unwrap_or_default();
    let authorities = data(AUTHORITIES);
    if authorities.trim().is_empty() {
        return FrontProxy::Absent;
    }
    let names = data(ALLOWED_NAMES);
    // A list that cannot be read must not come to mean every client.
    let allowed_names = match serde_json::from_str::<Vec<String>>(names) {
        Ok(names) => names,
        Err(_) if names.trim().is_empty() => Vec::new(),
        Err(error) => {
            tracing::error!(%error, "failed to read {ALLOWED_NAMES} of {NAMESPACE}/{CONFIG_MAP}");
            return FrontProxy::Absent;
        }
    };
    FrontProxy::Known { authorities: authorities.to_owned(), allowed_names }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_map(data: &[(&str, &str)]) -> ConfigMap {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        ConfigMap { data: Some(data), ..ConfigMap::default() }
    }

    #[test]
    fn names_that_cannot_be_read_allow_nobody() {
        let known = |names: &[&str]| FrontProxy::Known {
            authorities: "PEM".into(),
            allowed_names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let table = [
            (vec![], FrontProxy::Absent),
            (vec![(AUTHORITIES, " \n")], FrontProxy::Absent),
            (vec![(AUTHORITIES, "PEM")], known(&[])),
            (vec![(AUTHORITIES, "PEM"), (ALLOWED_NAMES, "[]")], known(&[])),
            (vec![(AUTHORITIES, "PEM"), (ALLOWED_NAMES, "[\"front-proxy-client\"]")], known(&["front-proxy-client"])),
            (vec![(AUTHORITIES, "PEM"), (ALLOWED_NAMES, "front-proxy-client")], FrontProxy::Absent),
        ];
        for (data, expected) in table {
            assert_eq!(read(&config_map(&data)), expected, "{data:?}");
        }
    }
}
