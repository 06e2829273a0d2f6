//! The VPC's resolver: the hosts' own names, the names that hosts may reach (all at the relay's address), and a quick "no" to everything else.

use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::net::UdpSocket;

use crate::egress::Egress;

/// Long enough for a package manager's run, short enough that nothing outlives a lab.
const TTL_SECONDS: u32 = 30;

/// Answers queries for the hosts of one lab.
pub(crate) struct Resolver {
    socket: UdpSocket,
    zone: Zone,
}

/// What the resolver knows.
pub(crate) struct Zone {
    pub(crate) gateway: Ipv4Addr,
    pub(crate) egress: Arc<Egress>,
}

impl Resolver {
    pub(crate) async fn bind(zone: Zone) -> Result<Self> {
        let socket = UdpSocket::bind((zone.gateway, 53))
            .await
            .with_context(|| format!("could not listen on {}:53", zone.gateway))?;
        Ok(Self { socket, zone })
    }

    /// Answers until cancelled.
    pub(crate) async fn serve(self) {
        let mut buffer = [0_u8; 4096];
        loop {
            let Ok((length, peer)) = self.socket.recv_from(&mut buffer).await else {
                continue;
            };
            if let Some(reply) = Message::from_vec(&buffer[..length])
                .ok()
                .and_then(|query| self.zone.answer(&query))
                .and_then(|reply| reply.to_vec().ok())
            {
                let _ = self.socket.send_to(&reply, peer).await;
            }
        }
    }
}

enum Known {
    Address(Ipv4Addr),
    Pointer(String),
    Nothing,
}

impl Zone {
    fn answer(&self, query: &Message) -> Option<Message> {
        let question = query.queries.first()?.clone();
        let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
        reply.metadata.recursion_desired = query.metadata.recursion_desired;
        reply.metadata.recursion_available = true;
        reply.metadata.authoritative = true;
        let name = question.name().clone();
        match self.look_up(&name.to_ascii()) {
            Known::Nothing => reply.metadata.response_code = ResponseCode::NXDomain,
            Known::Address(address) if question.query_type() == RecordType::A => {
                reply.add_answer(Record::from_rdata(name, TTL_SECONDS, RData::A(A(address))));
            }
            Known::Pointer(target) if question.query_type() == RecordType::PTR => {
                reply.add_answer(Record::from_rdata(
                    name,
                    TTL_SECONDS,
                    RData::PTR(PTR(Name::from_ascii(target).ok()?)),
                ));
            }
            // The name exists, but not with a record of this type (AAAA, say).
            Known::Address(_) | Known::Pointer(_) => {}
        }
        reply.add_query(question);
        Some(reply)
    }

    fn look_up(&self, name: &str) -> Known {
        let name = name.trim_end_matches('.').to_lowercase();
        if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
            let octets: Vec<u8> = reversed
                .split('.')
                .rev()
                .filter_map(|part| part.parse().ok())
                .collect();
            return match octets[..] {
                // A VPC may have any of the private ranges.
                [a, b, c, d] if Ipv4Addr::new(a, b, c, d).is_private() => {
                    Known::Pointer(format!("ip-{a}-{b}-{c}-{d}.ec2.internal."))
                }
                _ => Known::Nothing,
            };
        }
        if self.egress.allows(&name) {
            return Known::Address(self.gateway);
        }
        private_name(&name).map_or(Known::Nothing, Known::Address)
    }
}

/// `ip-10-64-0-5`, with or without EC2's private domains, is the address it spells.
fn private_name(name: &str) -> Option<Ipv4Addr> {
    let (label, domain) = name.split_once('.').unwrap_or((name, "ec2.internal"));
    if domain != "ec2.internal" && !domain.ends_with(".compute.internal") {
        return None;
    }
    label.strip_prefix("ip-")?.replace('-', ".").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hosts_own_name_spells_its_address() {
        assert_eq!(
            private_name("ip-10-64-0-5"),
            Some(Ipv4Addr::new(10, 64, 0, 5))
        );
        assert_eq!(
            private_name("ip-10-64-0-5.ec2.internal"),
            Some(Ipv4Addr::new(10, 64, 0, 5))
        );
        assert_eq!(
            private_name("ip-10-64-0-5.eu-west-1.compute.internal"),
            Some(Ipv4Addr::new(10, 64, 0, 5))
        );
        assert_eq!(private_name("ip-10-64-0-5.example.com"), None);
        assert_eq!(private_name("ip-10-64-0"), None);
    }
}
