//! Where streams may be forwarded to. Asked of the resolved address, where no later answer of DNS can differ. Pure.

use ipnet::{IpNet, Ipv4Net};
use lectern_api::node_config::ForwardPolicy;
use std::net::{IpAddr, Ipv4Addr};

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
        let inner: Vec<IpAddr> = embedded(address).into_iter().map(IpAddr::V4).collect();
        if never(address) || inner.iter().copied().any(never) {
            return false;
        }
        if self.networks.iter().any(|network| holds(network, address)) {
            return true;
        }
        let named = self.names.iter().any(|pattern| matches(pattern, &host.to_ascii_lowercase()));
        let listed = named || (self.names.is_empty() && self.networks.is_empty());
        let refused = |address: IpAddr| self.refused.iter().any(|network| holds(network, address));
        listed && !refused(address) && !inner.into_iter().any(refused)
    }
}

/// This machine, this link, every address or none: a stream is meant for no server there.
fn never(address: IpAddr) -> bool {
    let local = match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4.octets()[0] == 0
                || v4 == AZURE_HOST
                || NOT_SERVERS.iter().any(|network| network.contains(&v4))
        }
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    local || address.is_loopback() || address.is_unspecified() || address.is_multicast()
}

/// The address of every Azure host as its own machines see it: metadata, keys.
const AZURE_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// IPv4 networks without servers: protocol assignments, benchmarks of network devices, and the reserved rest with broadcast
/// (RFC 6890, 2.2.2).
const NOT_SERVERS: [Ipv4Net; 3] = [
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The IPv4 addresses that an IPv6 address may stand for: a gateway on the way unpacks them, so that they are what is
/// reached. NAT64 (RFC 6052, 2.1 and 2.2; RFC 8215), 6to4 (RFC 3056, 2), Teredo (RFC 4380, 4), and the deprecated compatible
/// form (RFC 4291, 2.5.5.1).
fn embedded(address: IpAddr) -> Vec<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return Vec::new() };
    let (bytes, segments) = (v6.octets(), v6.segments());
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| bytes[place]));
    let last = at([12, 13, 14, 15]);
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0, ..] => vec![last],
        // The operator of the gateway chooses the length of the prefix: 48 bits, or 96 below them.
        [0x64, 0xff9b, 1, ..] => vec![at([6, 7, 9, 10]), last],
        [0x2002, ..] => vec![at([2, 3, 4, 5])],
        [0x2001, 0, ..] => vec![Ipv4Addr::from_bits(!last.to_bits())],
        _ => Vec::new(),
    }
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
    fn an_ipv4_address_inside_of_an_ipv6_address_is_judged_as_itself() {
        let private = policy(&[], &["10.0.0.0/8"]);
        // 10.1.2.3, 169.254.169.254 and 203.0.113.9 in each form.
        let forms = [
            ["64:ff9b::a01:203", "64:ff9b::a9fe:a9fe", "64:ff9b::cb00:7109"],
            ["64:ff9b:1::a01:203", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:cb00:71:900:cb00:7109"],
            ["64:ff9b:1:a01:2:300::", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:cb00:71:900:cb00:7109"],
            ["2002:a01:203::1", "2002:a9fe:a9fe::1", "2002:cb00:7109::1"],
            ["2001:0:1::f5fe:fdfc", "2001:0:1::5601:5601", "2001:0:1::34ff:8ef6"],
            ["::10.1.2.3", "::169.254.169.254", "::203.0.113.9"],
            ["::ffff:10.1.2.3", "::ffff:169.254.169.254", "::ffff:203.0.113.9"],
        ];
        for [refused, never, public] in forms {
            let allows = |policy: &Policy, address: &str| policy.allows("a.example", address.parse().unwrap());
            assert!(!allows(&private, refused), "{refused} is a refused network");
            assert!(!allows(&policy(&["::/0"], &[]), never), "{never} is this link, whatever is allowed");
            assert!(allows(&private, public), "{public} is a server on the internet");
        }
    }

    #[test]
    fn networks_without_servers_are_never_pushed_to() {
        let everything = policy(&["0.0.0.0/0"], &[]);
        for (address, allowed) in [
            ("192.0.0.8", false),
            ("192.0.1.8", true),
            ("198.17.255.255", true),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.20.0.1", true),
            ("239.1.1.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("168.63.129.16", false),
            ("168.63.129.17", true),
        ] {
            assert_eq!(everything.allows("a.example", address.parse().unwrap()), allowed, "{address}");
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
