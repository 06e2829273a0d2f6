//! The lab's own network: one bridge per lab, one namespace and one pair of virtual cards per host.
//!
//! Nothing is routed or masqueraded: a host's only neighbours are the other hosts of its VPC and the lab itself, on the bridge's address.
//! What hosts need from outside goes through the lab's resolver and relay, so no setting of this machine is changed.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::run;

/// The lab's VPCs lie in 10.64.0.0/10, away from AWS's 172.31/16 and from what home and container networks commonly use.
const FIRST_SECOND_OCTET: u8 = 64;
const LAST_SECOND_OCTET: u8 = 127;

/// The 10.N.0.0/16 that one lab has to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subnet {
    second_octet: u8,
}

impl Subnet {
    /// The lab's own address on the bridge: gateway, resolver, metadata, front door.
    pub(crate) fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.second_octet, 0, 1)
    }

    /// The range as AWS writes it, which becomes the default VPC's.
    pub(crate) fn cidr(self) -> String {
        format!("10.{}.0.0/16", self.second_octet)
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        address.octets()[..2] == [10, self.second_octet]
    }
}

/// Picks a range that no route, no resolver and no other lab of this machine uses. Call it under the lock that guards `taken`.
pub(crate) fn pick_subnet(taken: &[String]) -> Result<Subnet> {
    let routes = run("ip", &["-4", "route", "show", "table", "all"])?;
    let resolvers = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    free_subnet(&routes, &resolvers, taken)
        .context("every network from 10.64.0.0/16 to 10.127.0.0/16 is in use on this machine; end a lab with `lab down --all`")
}

fn free_subnet(routes: &str, resolvers: &str, taken: &[String]) -> Option<Subnet> {
    let used: Vec<Ipv4Addr> = routes
        .split_whitespace()
        .chain(resolvers.split_whitespace())
        .filter_map(|word| word.split('/').next()?.parse().ok())
        .collect();
    (FIRST_SECOND_OCTET..=LAST_SECOND_OCTET)
        .map(|second_octet| Subnet { second_octet })
        .find(|subnet| {
            !taken.contains(&subnet.cidr()) && !used.iter().any(|address| subnet.contains(*address))
        })
}

/// What this machine knows `address` as: its own, a router's, a resolver's, or a host's of another lab.
fn use_of(address: Ipv4Addr, routes: &str, resolvers: &str) -> Option<String> {
    let is_it = |word: &str| word.parse() == Ok(address);
    let route = routes
        .lines()
        .find(|route| route.split_whitespace().any(is_it))
        .map(|route| format!("route `{}`", route.trim()));
    route.or_else(|| {
        resolvers
            .split_whitespace()
            .any(is_it)
            .then(|| "a name server in /etc/resolv.conf".to_owned())
    })
}

/// Interface names hold 15 bytes; eight hexadecimal digits tell labs and hosts apart.
fn short(name: &str) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(name)[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The bridge of one lab.
#[derive(Debug, Clone)]
pub(crate) struct Bridge {
    lab: String,
    name: String,
    subnet: Subnet,
}

impl Bridge {
    pub(crate) fn name_for(lab: &str) -> String {
        format!("lab-{}", short(lab))
    }

    /// Creates the bridge and gives it the gateway's address.
    pub(crate) fn create(lab: &str, subnet: Subnet) -> Result<Self> {
        let name = Self::name_for(lab);
        let address = format!("{}/16", subnet.gateway());
        run("ip", &["link", "add", &name, "type", "bridge"]).context(
            "could not create the lab's bridge; the lab needs root and the kernel's bridge support",
        )?;
        run("ip", &["addr", "add", &address, "dev", &name])?;
        run("ip", &["link", "set", &name, "up"])?;
        Ok(Self {
            lab: lab.to_owned(),
            name,
            subnet,
        })
    }

    /// Gives `host` a namespace with the address `ip` on this bridge. `vpc_cidr` is what it can reach directly.
    pub(crate) fn attach(
        &self,
        host: &str,
        ip: Ipv4Addr,
        vpc_cidr: &str,
        mac: &str,
    ) -> Result<HostNetwork> {
        let network = HostNetwork::of(&self.lab, host);
        network.remove()?;
        let (namespace, outside) = (network.namespace.as_str(), network.outside.as_str());
        run("ip", &["netns", "add", namespace])?;
        run(
            "ip",
            &[
                "link", "add", outside, "type", "veth", "peer", "name", "eth0", "address", mac,
                "netns", namespace,
            ],
        )?;
        run("ip", &["link", "set", outside, "master", &self.name, "up"])?;
        let gateway = self.subnet.gateway().to_string();
        let address = format!("{ip}/32");
        for args in [
            vec!["addr", "add", &address, "dev", "eth0"],
            vec!["link", "set", "lo", "up"],
            vec!["link", "set", "eth0", "up"],
            vec![
                "route",
                "add",
                &gateway,
                "dev",
                "eth0",
                "scope",
                "link",
                "src",
                &address[..address.len() - 3],
            ],
            vec![
                "route",
                "replace",
                vpc_cidr,
                "dev",
                "eth0",
                "scope",
                "link",
                "src",
                &address[..address.len() - 3],
            ],
        ] {
            let mut command = vec!["-n", namespace];
            command.extend(args);
            run("ip", &command)
                .with_context(|| format!("could not give {host} its address {ip}"))?;
        }
        if !self.subnet.contains(ip) {
            self.route(ip)?;
        }
        Ok(network)
    }

    /// A VPC of the user's own lies outside the bridge's range: this machine reaches each of its hosts by a route of its own,
    /// unless the address means something else here.
    fn route(&self, ip: Ipv4Addr) -> Result<()> {
        let routes = run("ip", &["-4", "route", "show", "table", "all"])?;
        let resolvers = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        if let Some(use_of_it) = use_of(ip, &routes, &resolvers) {
            bail!(
                "{ip} is taken on this machine ({use_of_it}), and its own traffic would go to the lab's host: \
                 give the VPC a range that this machine and its other labs do not use"
            );
        }
        run(
            "ip",
            &["route", "add", &format!("{ip}/32"), "dev", &self.name],
        )
        .map(drop)
        .with_context(|| format!("could not route to {ip}"))
    }

    /// Removes the bridge and, with it, the routes to its hosts.
    pub(crate) fn remove(lab: &str) -> Result<()> {
        let name = Self::name_for(lab);
        if link_exists(&name) {
            run("ip", &["link", "del", &name])?;
        }
        Ok(())
    }
}

/// The namespace and outer card of one host.
#[derive(Debug, Clone)]
pub(crate) struct HostNetwork {
    bridge: String,
    namespace: String,
    outside: String,
}

impl HostNetwork {
    pub(crate) fn of(lab: &str, host: &str) -> Self {
        let tag = short(&format!("{lab}/{host}"));
        Self {
            bridge: Bridge::name_for(lab),
            namespace: format!("{}{host}", Self::namespace_prefix(lab)),
            outside: format!("lv-{tag}"),
        }
    }

    /// All namespaces of a lab start with this.
    pub(crate) fn namespace_prefix(lab: &str) -> String {
        format!("{}-", Bridge::name_for(lab))
    }

    /// The namespace as a file, as systemd-nspawn takes it.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.namespace)
    }

    /// Removes the card, the namespace and the route to it, if they exist.
    pub(crate) fn remove(&self) -> Result<()> {
        self.remove_route()?;
        if link_exists(&self.outside) {
            run("ip", &["link", "del", &self.outside])?;
        }
        remove_namespace(&self.namespace)
    }
}

impl HostNetwork {
    /// A route of the host's own leads over the bridge, and would outlive the host.
    fn remove_route(&self) -> Result<()> {
        if !self.path().exists() {
            return Ok(());
        }
        // A namespace that was only half made has no address, and no route leads to it.
        let Ok(addresses) = run(
            "ip",
            &[
                "-n",
                &self.namespace,
                "-4",
                "-o",
                "addr",
                "show",
                "scope",
                "global",
            ],
        ) else {
            return Ok(());
        };
        let routes = run("ip", &["-4", "route", "show", "dev", &self.bridge])?;
        for address in addresses
            .split_whitespace()
            .filter_map(|word| word.strip_suffix("/32"))
        {
            if routes.split_whitespace().any(|word| word == address) {
                run(
                    "ip",
                    &[
                        "route",
                        "del",
                        &format!("{address}/32"),
                        "dev",
                        &self.bridge,
                    ],
                )?;
            }
        }
        Ok(())
    }
}

/// Removes every namespace that a lab left behind.
pub(crate) fn remove_namespaces(lab: &str) -> Result<()> {
    let prefix = HostNetwork::namespace_prefix(lab);
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return Ok(());
    };
    for name in entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
    {
        if name.starts_with(&prefix) {
            remove_namespace(&name)?;
        }
    }
    Ok(())
}

fn remove_namespace(name: &str) -> Result<()> {
    if Path::new("/run/netns").join(name).exists() {
        run("ip", &["netns", "del", name])?;
    }
    Ok(())
}

fn link_exists(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// A host's private address as AWS wrote it.
pub(crate) fn parse_address(text: &str) -> Result<Ipv4Addr> {
    match text.parse() {
        Ok(address) => Ok(address),
        Err(_) => bail!("the instance has no usable private address (`{text}`)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_anything_on_the_machine_uses_is_not_taken() {
        let routes = "default via 192.168.1.1 dev eth0\n10.64.3.0/24 dev vpn0 proto kernel\nbroadcast 10.65.255.255 dev x table local\n";
        let subnet = free_subnet(routes, "nameserver 10.66.0.53\n", &["10.67.0.0/16".into()])
            .expect("there are free ones");
        assert_eq!(subnet.cidr(), "10.68.0.0/16");
        assert_eq!(subnet.gateway().to_string(), "10.68.0.1");
    }

    #[test]
    fn an_address_that_means_something_here_is_not_routed_to_a_host() {
        let routes = "default via 10.20.0.1 dev eth0\n10.20.0.0/16 dev eth0 proto kernel scope link src 10.20.0.7\n\
            10.30.1.4 dev lab-0a1b2c3d scope link\nlocal 10.20.0.7 dev eth0 table local\n";
        let resolvers = "nameserver 10.20.0.2\n";
        let used = |address: [u8; 4]| use_of(address.into(), routes, resolvers);
        assert!(used([10, 20, 0, 1]).is_some_and(|what| what.contains("default via")));
        assert!(used([10, 20, 0, 2]).is_some_and(|what| what.contains("resolv.conf")));
        assert!(used([10, 20, 0, 7]).is_some());
        assert!(used([10, 30, 1, 4]).is_some_and(|what| what.contains("lab-0a1b2c3d")));
        assert_eq!(used([10, 20, 0, 8]), None);
        assert_eq!(used([10, 40, 1, 4]), None);
    }

    #[test]
    fn a_full_machine_is_said_to_be_full() {
        let taken: Vec<String> = (64..=127).map(|n| format!("10.{n}.0.0/16")).collect();
        assert_eq!(free_subnet("", "", &taken), None);
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        let network = HostNetwork::of("a-rather-long-lab-name", "i-0123456789abcdef0");
        assert!(
            network.outside.len() <= 15 && Bridge::name_for("a-rather-long-lab-name").len() <= 15
        );
    }
}
