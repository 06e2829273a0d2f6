//! The caller's own address, as the instance will see it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use super::{Address, FactsError};

/// AWS's own answer to "who am I, seen from outside": one line with the address.
const WHO_AM_I: &str = "https://checkip.amazonaws.com";
const WHO_AM_I_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer answers are no address.
const WHO_AM_I_BYTES: u64 = 256;

/// The caller as a CIDR of one address. `inside` is some address in the instance's subnet.
pub(super) async fn cidr(address: Address, inside: Option<Ipv4Addr>) -> Result<String, FactsError> {
    let (tried, found) = match address {
        Address::Private => (
            "by the route to the subnet",
            inside
                .ok_or_else(|| io::Error::other("the subnet has no IPv4 block"))
                .and_then(source_address),
        ),
        Address::Public => (
            "by asking checkip.amazonaws.com",
            tokio::task::spawn_blocking(public_address)
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error))),
        ),
    };
    match found {
        Ok(IpAddr::V4(own)) => Ok(format!("{own}/32")),
        Ok(IpAddr::V6(own)) => Ok(format!("{own}/128")),
        Err(source) => Err(FactsError::NoCallerAddress { tried, source }),
    }
}

/// The address that this machine uses towards another. Connecting a UDP socket only asks the routing table; nothing is
/// sent.
fn source_address(towards: Ipv4Addr) -> io::Result<IpAddr> {
    const ANY_PORT: u16 = 9;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((towards, ANY_PORT))?;
    Ok(socket.local_addr()?.ip())
}

fn public_address() -> io::Result<IpAddr> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(WHO_AM_I_TIMEOUT))
        .build()
        .into();
    let answer = agent
        .get(WHO_AM_I)
        .call()
        .and_then(|mut answer| {
            answer
                .body_mut()
                .with_config()
                .limit(WHO_AM_I_BYTES)
                .read_to_string()
        })
        .map_err(io::Error::other)?;
    answer
        .trim()
        .parse()
        .map_err(|_| io::Error::other(format!("{WHO_AM_I} answered {:?}", answer.trim())))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[tokio::test]
    async fn the_way_to_a_private_subnet_tells_the_own_address() {
        let cidr = cidr(Address::Private, Some(Ipv4Addr::LOCALHOST))
            .await
            .unwrap();
        assert_eq!(cidr, "127.0.0.1/32");
    }
}
