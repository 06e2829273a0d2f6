//! Where the instance goes, and which of its addresses is the way in.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use aws_sdk_ec2::types::{Filter, LocationType};

use super::{Address, FactsError, Subnet};
use crate::aws::{Aws, Class, Explain};
use crate::recipe::AddressMode;

/// A subnet and what decides about addresses in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) subnet: Subnet,
    /// Its IPv4 block, `172.31.0.0/20`.
    cidr: String,
    /// It gives instances public addresses by itself.
    maps_public: bool,
    free_addresses: i32,
}

impl Found {
    /// `auto` is public where the subnet gives public addresses.
    pub(super) fn address(&self, mode: AddressMode) -> Address {
        match mode {
            AddressMode::Public => Address::Public,
            AddressMode::Private => Address::Private,
            AddressMode::Auto if self.maps_public => Address::Public,
            AddressMode::Auto => Address::Private,
        }
    }

    /// Some address inside the subnet.
    pub(super) fn host_inside(&self) -> Option<Ipv4Addr> {
        let network: Ipv4Addr = self.cidr.split('/').next()?.parse().ok()?;
        Some(Ipv4Addr::from(u32::from(network).checked_add(4)?))
    }
}

/// The named subnet, or the best of the default VPC's and the others that can stand in for it.
pub(super) async fn find(
    aws: &Aws,
    named: Option<&str>,
    instance_types: &[String],
) -> Result<(Found, Vec<Subnet>), FactsError> {
    if let Some(id) = named {
        let none = || FactsError::NoSubnet {
            id: id.to_owned(),
            region: aws.region.clone(),
        };
        let request = aws.ec2.describe_subnets().subnet_ids(id);
        return match request.send().await.explain("ec2:DescribeSubnets") {
            Ok(answer) => answer
                .subnets
                .unwrap_or_default()
                .into_iter()
                .find_map(found)
                .map(|found| (found, Vec::new()))
                .ok_or_else(none),
            Err(error) if error.class == Class::NotFound => Err(none()),
            Err(error) => Err(error.into()),
        };
    }
    let (subnets, zones) = tokio::join!(default_subnets(aws), zones_offering(aws, instance_types));
    let subnets = subnets?;
    match choose(subnets, &zones) {
        Some(chosen) => Ok(chosen),
        None => Err(no_default(aws).await?),
    }
}

async fn default_subnets(aws: &Aws) -> Result<Vec<Found>, FactsError> {
    let answer = aws
        .ec2
        .describe_subnets()
        .filters(
            Filter::builder()
                .name("default-for-az")
                .values("true")
                .build(),
        )
        .send()
        .await
        .explain("ec2:DescribeSubnets")?;
    Ok(answer
        .subnets
        .unwrap_or_default()
        .into_iter()
        .filter_map(found)
        .collect())
}

/// Why there is no default subnet.
async fn no_default(aws: &Aws) -> Result<FactsError, FactsError> {
    let answer = aws
        .ec2
        .describe_vpcs()
        .filters(Filter::builder().name("is-default").values("true").build())
        .send()
        .await
        .explain("ec2:DescribeVpcs")?;
    let region = aws.region.clone();
    let vpc_id = answer
        .vpcs
        .unwrap_or_default()
        .into_iter()
        .find_map(|vpc| vpc.vpc_id);
    Ok(match vpc_id {
        Some(vpc_id) => FactsError::NoDefaultSubnet { region, vpc_id },
        None => FactsError::NoDefaultVpc { region },
    })
}

/// Zones that have one of the wanted types, by type in the order of preference. Not every zone has every type. Only a
/// hint: without permission for it, or while it is slow, any zone will do.
async fn zones_offering(aws: &Aws, instance_types: &[String]) -> Vec<BTreeSet<String>> {
    let answer = aws
        .ec2
        .describe_instance_type_offerings()
        .location_type(LocationType::AvailabilityZone)
        .filters(
            Filter::builder()
                .name("instance-type")
                .set_values(Some(instance_types.to_vec()))
                .build(),
        )
        .send()
        .await;
    let offerings = answer
        .ok()
        .and_then(|answer| answer.instance_type_offerings)
        .unwrap_or_default();
    instance_types
        .iter()
        .map(|wanted| {
            offerings
                .iter()
                .filter(|offering| {
                    offering
                        .instance_type()
                        .is_some_and(|offered| offered.as_str() == wanted)
                })
                .filter_map(|offering| offering.location().map(str::to_owned))
                .collect()
        })
        .collect()
}

fn found(subnet: aws_sdk_ec2::types::Subnet) -> Option<Found> {
    Some(Found {
        subnet: Subnet {
            id: subnet.subnet_id?,
            vpc_id: subnet.vpc_id?,
            availability_zone: subnet.availability_zone.unwrap_or_default(),
        },
        cidr: subnet.cidr_block.unwrap_or_default(),
        maps_public: subnet.map_public_ip_on_launch.unwrap_or(false),
        free_addresses: subnet.available_ip_address_count.unwrap_or(0),
    })
}

/// The subnet whose zone has the most preferred type; among equals the one with the most free addresses, and then the
/// first by zone, so that the same ground gives the same choice. Then, in the same order, those that can stand in for it.
fn choose(mut subnets: Vec<Found>, zones: &[BTreeSet<String>]) -> Option<(Found, Vec<Subnet>)> {
    let rank = |found: &Found| {
        zones
            .iter()
            .position(|offering| offering.contains(&found.subnet.availability_zone))
            .unwrap_or(zones.len())
    };
    subnets.sort_by(|one, other| {
        (
            rank(one),
            -one.free_addresses,
            &one.subnet.availability_zone,
        )
            .cmp(&(
                rank(other),
                -other.free_addresses,
                &other.subnet.availability_zone,
            ))
    });
    let mut subnets = subnets.into_iter();
    let best = subnets.next()?;
    let spare = subnets
        .filter(|found| found.subnet.vpc_id == best.subnet.vpc_id)
        .filter(|found| found.maps_public == best.maps_public)
        .map(|found| found.subnet)
        .collect();
    Some((best, spare))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn subnet(zone: &str, free_addresses: i32) -> Found {
        Found {
            subnet: Subnet {
                id: format!("subnet-{zone}"),
                vpc_id: "vpc-1".into(),
                availability_zone: zone.into(),
            },
            cidr: "172.31.16.0/20".into(),
            maps_public: false,
            free_addresses,
        }
    }

    fn zones(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_zone_without_the_wanted_type_is_avoided() {
        let offered = [zones(&["b"]), zones(&["a", "b"])];
        let (chosen, _) = choose(vec![subnet("a", 4000), subnet("b", 10)], &offered).unwrap();
        assert_eq!(chosen.subnet.availability_zone, "b");
        // The second choice of type is still better than none.
        let (chosen, _) = choose(vec![subnet("c", 4000), subnet("a", 10)], &offered).unwrap();
        assert_eq!(chosen.subnet.availability_zone, "a");
    }

    #[test]
    fn without_any_offer_known_the_roomiest_subnet_is_taken() {
        let (chosen, _) =
            choose(vec![subnet("b", 10), subnet("a", 10), subnet("c", 5)], &[]).unwrap();
        assert_eq!(chosen.subnet.availability_zone, "a");
        assert!(choose(Vec::new(), &[]).is_none());
    }

    #[test]
    fn only_a_subnet_of_the_same_kind_stands_in_for_another() {
        let mut public = subnet("b", 5);
        public.maps_public = true;
        let mut elsewhere = subnet("c", 5);
        elsewhere.subnet.vpc_id = "vpc-2".into();
        let all = vec![
            subnet("a", 10),
            public,
            elsewhere,
            subnet("d", 1),
            subnet("e", 2),
        ];
        let (chosen, spare) = choose(all, &[]).unwrap();
        assert_eq!(chosen.subnet.availability_zone, "a");
        let zones: Vec<&str> = spare
            .iter()
            .map(|spare| spare.availability_zone.as_str())
            .collect();
        assert_eq!(zones, ["e", "d"]);
    }

    #[test]
    fn auto_follows_the_subnet() {
        let mut found = subnet("a", 1);
        assert_eq!(found.address(AddressMode::Auto), Address::Private);
        found.maps_public = true;
        assert_eq!(found.address(AddressMode::Auto), Address::Public);
        assert_eq!(found.address(AddressMode::Private), Address::Private);
        assert_eq!(found.host_inside(), Some(Ipv4Addr::new(172, 31, 16, 4)));
    }
}
