//! The addresses of a subnet, and who among them listens.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// IPv4 in CIDR notation (RFC 4632, 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet {
    first: u32,
    last: u32,
}

/// A shop's network is a /24; larger ones than this are mistyped.
const BITS_LEAST: u32 = 16;
/// Connections tried at once.
const AT_ONCE: usize = 256;
/// On a local network an answer takes milliseconds.
const PATIENCE: Duration = Duration::from_millis(800);

impl Subnet {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let expected = || {
            format!(
                "`{text}`: expected an IPv4 subnet, such as 10.0.4.0/24, of /{BITS_LEAST} to /32"
            )
        };
        let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
        let address: Ipv4Addr = address.parse().ok().ok_or_else(expected)?;
        let bits: u32 = bits.parse().ok().ok_or_else(expected)?;
        if !(BITS_LEAST..=32).contains(&bits) {
            return Err(expected());
        }
        let rest = u32::MAX.checked_shr(bits).unwrap_or(0);
        let first = u32::from(address) & !rest;
        let (first, last) = match bits {
            31 | 32 => (first, first | rest),
            // The network's own address and its broadcast are no hosts.
            _ => (first + 1, (first | rest) - 1),
        };
        Ok(Self { first, last })
    }

    fn hosts(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first..=self.last).map(Ipv4Addr::from)
    }
}

/// The hosts that listen on a port, in order.
pub(super) async fn listening(subnets: &[Subnet], port: u16) -> Vec<IpAddr> {
    let mut hosts = subnets.iter().flat_map(|subnet| subnet.hosts());
    let mut trying = JoinSet::new();
    let mut found = Vec::new();
    loop {
        while trying.len() < AT_ONCE {
            let Some(host) = hosts.next() else { break };
            trying.spawn(listens(IpAddr::V4(host), port));
        }
        match trying.join_next().await {
            Some(Ok(Some(host))) => found.push(host),
            Some(_) => {}
            None => break,
        }
    }
    found.sort();
    found.dedup();
    found
}

async fn listens(host: IpAddr, port: u16) -> Option<IpAddr> {
    let connecting = TcpStream::connect(SocketAddr::new(host, port));
    let connected = tokio::time::timeout(PATIENCE, connecting).await;
    matches!(connected, Ok(Ok(_))).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> (usize, String, String) {
        let subnet = Subnet::parse(text).unwrap();
        let (first, last) = (
            subnet.hosts().next().unwrap(),
            subnet.hosts().last().unwrap(),
        );
        (subnet.hosts().count(), first.to_string(), last.to_string())
    }

    #[test]
    fn subnets_have_their_hosts() {
        let of = |n, first: &str, last: &str| (n, first.to_owned(), last.to_owned());
        assert_eq!(hosts("10.0.4.0/24"), of(254, "10.0.4.1", "10.0.4.254"));
        assert_eq!(hosts("10.0.4.77/30"), of(2, "10.0.4.77", "10.0.4.78"));
        assert_eq!(hosts("10.0.4.7"), of(1, "10.0.4.7", "10.0.4.7"));
        assert_eq!(hosts("10.0.0.0/16"), of(65_534, "10.0.0.1", "10.0.255.254"));
        for text in [
            "",
            "10.0.4",
            "10.0.0.0/8",
            "10.0.0.0/33",
            "fe80::/64",
            "10.0.4.0/x",
        ] {
            assert!(Subnet::parse(text).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn only_who_listens_is_found() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = Subnet::parse("127.0.0.0/29").unwrap();
        let found = listening(&[near], port).await;
        assert_eq!(found, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        drop(listener);
        assert_eq!(listening(&[near], port).await, Vec::<IpAddr>::new());
    }
}
