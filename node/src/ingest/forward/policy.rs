//! Where streams may be forwarded to. Asked of the resolved address, where no later answer of DNS can differ. Pure.

use ipnet::IpNet;
use lectern_api::node_config::ForwardPolicy;
use std::net::IpAddr;

/// What may be pushed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    names: Vec<String>,
    networks: Vec<IpNet>,
    refused: Vec<IpNet>,
}

impl Policy {
    /// The policy that `written` describes.
    ///
    /// # Errors
    /// The network that cannot be read.
    pub fn new(written: &ForwardPolicy) -> Result<Self, String> {
        let mut policy = Self::default();
        for host in &written.hosts {
            match network(host) {
                Some(read) => policy.networks.push(read),
                None if host.contains('/') => return Err(format!("forwardPolicy.hosts: {host:?} is not a network")),
                None => policy.names.push(host.to_ascii_lowercase()),
            }
        }
        for text in &written.refused_networks {
            let read = network(text);
            policy
                .refused
                .push(read.ok_or_else(|| format!("forwardPolicy.refusedNetworks: {text:?} is not a network"))?);
        }
        Ok(policy)
    }

    /// Whether `host`, which resolved to `address`, may be pushed to.
    #[must_use]
    pub fn allows(&self, host: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if never(address) {
            return false;
        }
        if self.networks.iter().any(|network| holds(network, address)) {
            return true;
        }
        let named = self.names.iter().any(|pattern| matches(pattern, &host.to_ascii_lowercase()));
        let listed = named || (self.names.is_empty() && self.networks.is_empty());
        listed && !self.refused.iter().any(|network| holds(network, address))
    }
}

/// This machine, this link, every address or none: a stream is meant for no server there.
fn never(address: IpAddr) -> bool {
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    local || address.is_loopback() || address.is_unspecified() || address.is_multicast()
}

/// `*.example.org` is every name below example.org, not example.org itself.
fn matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => pattern == host,
    }
}

/// `203.0.113.0/24`, or one address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// Whether an address lies in a network. Version 4 also counts as it is mapped into version 6.
fn holds(network: &IpNet, address: IpAddr) -> bool {
    match (network, address) {
        (IpNet::V6(_), IpAddr::V4(v4)) => network.contains(&IpAddr::V6(v4.to_ipv6_mapped())),
        _ => network.contains(&address),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot read its own table must fail")]

    use super::*;

    fn policy(hosts: &[&str], refused: &[&str]) -> Policy {
        let all = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Policy::new(&ForwardPolicy { hosts: all(hosts), refused_networks: all(refused) }).unwrap()
    }

    #[test]
    fn what_may_be_pushed_to_is_decided_on_the_resolved_address() {
        let table = [
            (policy(&[], &[]), "a.example", "203.0.113.9", true),
            (policy(&[], &[]), "a.example", "127.0.0.1", false),
            (policy(&[], &[]), "a.example", "::ffff:127.0.0.1", false),
            (policy(&[], &[]), "a.example", "169.254.169.254", false),
            (policy(&[], &[]), "a.example", "fe80::1", false),
            (policy(&[], &[]), "a.example", "0.0.0.0", false),
            (policy(&["127.0.0.0/8"], &[]), "a.example", "127.0.0.1", false),
            (policy(&[], &["10.0.0.0/8"]), "a.example", "10.1.2.3", false),
            (policy(&[], &["10.0.0.0/8"]), "a.example", "11.1.2.3", true),
            (policy(&[], &["fc00::/7"]), "a.example", "fd12::1", false),
            (policy(&[], &["fc00::/7"]), "a.example", "2001:db8::1", true),
            (policy(&["10.9.0.0/16"], &["10.0.0.0/8"]), "a.example", "10.9.0.1", true),
            (policy(&["10.9.0.0/16"], &[]), "a.example", "203.0.113.9", false),
            (policy(&["*.example.org"], &[]), "live.example.org", "203.0.113.9", true),
            (policy(&["*.example.org"], &[]), "LIVE.Example.org", "203.0.113.9", true),
            (policy(&["*.example.org"], &[]), "example.org", "203.0.113.9", false),
            (policy(&["*.example.org"], &[]), "badexample.org", "203.0.113.9", false),
            (policy(&["a.example"], &["10.0.0.0/8"]), "a.example", "10.0.0.1", false),
            (policy(&["203.0.113.9"], &[]), "whatever", "203.0.113.9", true),
        ];
        for (policy, host, address, allowed) in table {
            assert_eq!(policy.allows(host, address.parse().unwrap()), allowed, "{host} at {address} by {policy:?}");
        }
    }

    #[test]
    fn a_network_that_is_none_is_named() {
        for bad in ["10.0.0.0/33", "x/8", "10.0.0/8"] {
            let written = ForwardPolicy { hosts: vec![bad.into()], refused_networks: Vec::new() };
            assert!(Policy::new(&written).unwrap_err().contains(bad));
        }
    }
}
