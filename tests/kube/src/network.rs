//! The network of a cluster: a bridge on the first machine that is also its node address, and a cable from it to the
//! second machine. No way leads out.
//!
//! | | first node | second node |
//! |---|---|---|
//! | address | 10.10.0.1 on bridge `node0` | 10.10.0.2 on `eth0` |
//! | pods | 10.244.0.0/24 | 10.244.1.0/24 |
//!
//! Services are 10.96.0.0/16. A default route must exist (kubelet and API server look for the interface it uses); the
//! first machine's leads to an address without a host.

use crate::machine::Machine;
use anyhow::{Context as _, Result, ensure};
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

/// The API server's port, on the first node.
pub const API_PORT: u16 = 6443;
/// Where Services are.
pub const SERVICE_NETWORK: &str = "10.96.0.0/16";
/// The Service `kubernetes`: the first address of [`SERVICE_NETWORK`].
pub const API_SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
/// Where all pods are.
pub const POD_NETWORK: &str = "10.244.0.0/16";

/// The bridge gets a spare cable as its first port: without one it has no carrier, and its routes are dead.
const FIRST: &str = "
modprobe -qa br_netfilter nf_tables overlay veth 2>/dev/null || true
ip link add node0 type bridge
ip addr add 10.10.0.1/24 dev node0
ip link add spare0 type veth peer name spare1
ip link set spare0 master node0 up
ip link set spare1 up
ip link set node0 up
ip route add default via 10.10.0.254 dev node0 onlink
";

const SECOND: &str = "
ip link set n2b name eth0
ip addr add 10.10.0.2/24 dev eth0
ip link set eth0 up
ip route add default via 10.10.0.1
ip route add 10.244.0.0/24 via 10.10.0.1
";

/// Pods' packets pass the node, and packets that cross the pods' bridge meet the rules of Services.
const FORWARDING: &str = "
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
";

/// The address of a node, counted from 1.
#[must_use]
pub fn node_address(node: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 10, 0, node)
}

/// The network of a node's pods, counted from 1.
#[must_use]
pub fn pod_network(node: u8) -> String {
    format!("10.244.{}.0/24", node - 1)
}

/// Sets the first machine's network up.
///
/// # Errors
/// When a command fails: the kernel lacks bridges or cables, for instance.
pub fn set_up_first(machine: &Machine) -> Result<()> {
    script(machine, FIRST)?;
    script(machine, FORWARDING)
}

/// Sets the second machine's network up and plugs it into the first.
///
/// # Errors
/// When a command fails.
pub fn set_up_second(first: &Machine, second: &Machine) -> Result<()> {
    // `ip link set … netns PID` counts processes as the caller does: so it runs outside the machines' PID namespaces.
    let plug = format!(
        "ip link add n2a type veth peer name n2b\n\
         ip link set n2b netns {}\n\
         ip link set n2a master node0 up\n\
         ip route replace 10.244.1.0/24 via 10.10.0.2",
        second.init()
    );
    let net = format!("--net=/proc/{}/ns/net", first.init());
    run(Command::new("nsenter").args([&net, "sh", "-ec", &plug]))?;
    script(second, SECOND)?;
    script(second, FORWARDING)
}

/// Takes the second machine's cable away at the first: from then on it is not heard of.
///
/// # Errors
/// When there is no cable.
pub fn unplug_second(first: &Machine) -> Result<()> {
    script(first, "ip link set n2a down\nip route del 10.244.1.0/24\nip link del n2a")
}

fn script(machine: &Machine, text: &str) -> Result<()> {
    run(machine.command("sh").args(["-ec", text]))
}

fn run(command: &mut Command) -> Result<()> {
    let done = command.stdin(Stdio::null()).output().with_context(|| format!("failed to start {command:?}"))?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "failed to set up the network: {} ({})", said.trim(), done.status);
    Ok(())
}
