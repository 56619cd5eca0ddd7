//! The address to open for a port that listens on every address of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// `address`, or this machine's own address where that names none (`0.0.0.0`, `[::]`). Without a network it is the
/// machine itself.
pub(in crate::backend::local) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => own(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        // Such a socket accepts both: what people can type comes first.
        IpAddr::V6(ip) if ip.is_unspecified() => own(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))
            .or_else(|| own(IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)))),
        ip => return SocketAddr::new(ip, address.port()),
    };
    SocketAddr::new(ip.unwrap_or(Ipv4Addr::LOCALHOST.into()), address.port())
}

/// The address that this machine would use to reach `other`, an address of the documentation (RFC 5737, RFC 3849):
/// connecting a UDP socket sends nothing.
fn own(other: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if other.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((other, 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_shown_can_be_opened() {
        for text in ["127.0.0.1:1935", "192.0.2.7:8080", "[::1]:9090"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(reachable(address), address, "a given address stays");
        }
        for text in ["0.0.0.0:0", "[::]:0"] {
            let listener = std::net::TcpListener::bind(text).unwrap();
            let shown = reachable(listener.local_addr().unwrap());
            assert!(!shown.ip().is_unspecified(), "{text} is shown as {shown}");
            std::net::TcpStream::connect(shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
        }
    }
}
