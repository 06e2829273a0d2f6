"""Addresses: the default VPC is the lab's bridge, and no address of the lab is one of the real Internet."""

import ipaddress
import itertools

import moto.ec2.models.elastic_ip_addresses as elastic_ip_addresses
import moto.ec2.models.elastic_network_interfaces as elastic_network_interfaces
from moto.ec2.exceptions import DependencyViolationError, EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.security_groups import SecurityGroupBackend
from moto.ec2.models.subnets import Subnet, SubnetBackend
from moto.ec2.models.vpcs import VPCBackend
from moto.ec2.responses.elastic_network_interfaces import ElasticNetworkInterfaces

from .patching import around

# AWS keeps the first three host addresses of a subnet: router, name server, future use.
RESERVED_HOSTS = 3
# RFC 2544: for benchmarks, never routed. moto's own choice are addresses of real AWS customers.
ELASTIC_ADDRESSES = ipaddress.ip_network("198.18.0.0/15")


class Settings:
    """Set once, before the first backend is made."""

    vpc_cidr = "172.31.0.0/16"


@around(VPCBackend, "create_default_vpc")
def create_default_vpc(_moto, backend):
    if backend.get_default_vpc() is not None:
        raise EC2ClientError(
            "DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region."
        )
    vpc = backend.create_vpc(cidr_block=Settings.vpc_cidr, is_default=True)
    for zone in backend.describe_availability_zones():
        backend.create_default_subnet(zone.name)
    return vpc


@around(SubnetBackend, "create_default_subnet")
def create_default_subnet(moto, backend, availability_zone):
    subnet = moto(backend, availability_zone)
    # There is one network, the bridge: a second, public, address would lead nowhere.
    subnet.map_public_ip_on_launch = False
    return subnet


def every_backend():
    """(account, region, backend) of every EC2 backend that exists; makes none."""
    for account, regions in list(ec2_backends.items()):
        for region, backend in list(regions.items()):
            yield account, region, backend


def addresses_in_use():
    """Every private address given out in any account or region: they all share the bridge."""
    used = set()
    for _, _, backend in every_backend():
        for subnets in backend.subnets.values():
            for subnet in subnets.values():
                used.update(subnet._subnet_ips)
        for eni in backend.enis.values():
            used.add(eni.private_ip_address)
            used.update(address["PrivateIpAddress"] for address in eni.private_ip_addresses)
    return used


# Where the search for a free address of a network goes on, so that a freed address is not handed out again at once.
_next_host = {}


def free_address(network):
    """An address of `network` (a subnet's range) that nothing has, or None."""
    used = addresses_in_use()
    first = int(network.network_address) + 1 + RESERVED_HOSTS
    last = int(network.broadcast_address) - 1
    start = _next_host.get(network, first)
    for host in itertools.chain(range(start, last + 1), range(first, start)):
        address = str(ipaddress.ip_address(host))
        if address not in used:
            _next_host[network] = host + 1 if host < last else first
            return address
    return None


def check_address(subnet, ip):
    """Refuse an address that was asked for and cannot be had."""
    if ipaddress.ip_address(ip) not in subnet.cidr:
        raise EC2ClientError("InvalidParameterValue", "Address does not fall within the subnet's address range")
    if ip in addresses_in_use():
        raise EC2ClientError("InvalidIPAddress.InUse", f"Address {ip} is in use.")


@around(Subnet, "get_available_subnet_ip")
def get_available_subnet_ip(_moto, subnet, instance):
    address = free_address(subnet.cidr)
    if address is None:
        raise _no_address_left(subnet.id)
    subnet._subnet_ips[address] = instance
    return address


def _no_address_left(subnet):
    return EC2ClientError(
        "InsufficientFreeAddressesInSubnet",
        f"There are not enough free addresses in subnet '{subnet}' to satisfy the request.",
    )


@around(Subnet, "request_ip")
def request_ip(_moto, subnet, ip, instance):
    check_address(subnet, ip)
    subnet._subnet_ips[ip] = instance


@around(ElasticNetworkInterfaces, "create_network_interface")
def create_network_interface(moto, response):
    subnet = response.ec2_backend.get_subnet(response._get_param("SubnetId"))
    asked = [address["PrivateIpAddress"] for address in response._get_param("PrivateIpAddresses", [])]
    if response._get_param("PrivateIpAddress"):
        asked.append(response._get_param("PrivateIpAddress"))
    for ip in asked:
        check_address(subnet, ip)
    return moto(response)


@around(elastic_network_interfaces, "random_private_ip")
def random_private_ip(moto, cidr=None, ipv6=False):
    # Interfaces that are made without an address, and their further ones: moto might give one out twice.
    if ipv6 or cidr is None:
        return moto(cidr, ipv6)
    address = free_address(ipaddress.ip_network(cidr))
    if address is None:
        raise _no_address_left(cidr)
    return address


@around(NetworkInterface, "check_auto_public_ip")
def check_auto_public_ip(_moto, eni):
    # Asked for a public address, an instance gets the one at which it can be reached.
    if str(eni.public_ip_auto_assign).lower() == "true":
        eni.public_ip = eni.private_ip_address


_elastic = itertools.cycle(ELASTIC_ADDRESSES.hosts())


@around(elastic_ip_addresses, "random_ip")
def random_ip(_moto):
    return str(next(_elastic))


@around(VPCBackend, "delete_vpc")
def delete_vpc(moto, backend, vpc_id):
    # A VPC takes its default group with it, though nobody may delete that by itself.
    backend.lab_vpc_being_deleted = vpc_id
    try:
        return moto(backend, vpc_id)
    finally:
        backend.lab_vpc_being_deleted = None


@around(SecurityGroupBackend, "_delete_security_group")
def delete_security_group(moto, backend, vpc_id, group_id):
    group = backend.get_security_group_from_id(group_id)
    leaves_with_its_vpc = group is not None and group.vpc_id == getattr(
        backend, "lab_vpc_being_deleted", None
    )
    if group is not None and group.is_default and not leaves_with_its_vpc:
        raise EC2ClientError(
            "CannotDelete",
            f"the specified group: \"{group_id}\" name: \"{group.name}\" cannot be deleted by a user",
        )
    if any(group in eni.group_set for eni in backend.enis.values()):
        raise DependencyViolationError(f"resource {group_id} has a dependent object")
    return moto(backend, vpc_id, group_id)
