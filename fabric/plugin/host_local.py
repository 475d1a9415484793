"""CNI's host-local, for plugins: below /var/lib/cni/networks/<network>, one file for each address in use.

A file is named by its address and holds the container's id and the name of its device. Creating it
exclusively is what takes the address, so that no crash and no second process can give one address
twice. Addresses go round: the search starts after the last one given out, so that a freed address
rests as long as it can.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path

from fabric.errors import FabricError
from fabric.netstate.objects import IPAddress, IPNetwork

PATH = Path("var/lib/cni/networks")
_LAST = "last_reserved_ip."


class OutOfAddresses(FabricError):
    """Every pod address of the node's subnet is in use."""


class HostLocal:
    """The addresses in use on one node; the directory is read once, then mirrored in memory."""

    def __init__(self, root: Path, network: str) -> None:
        """`root`: the node's private files. `network`: the name in the CNI configuration."""
        self._directory = root / PATH / network
        self._owners: dict[IPAddress, str] = {}
        self._by_owner: dict[str, dict[int, IPAddress]] = {}
        self._last: dict[int, IPAddress] = {}
        self._prepared = False
        self._load()

    def owners(self) -> frozenset[str]:
        """Ids of all containers that have an address."""
        return frozenset(self._by_owner)

    def addresses(self, owner: str, subnets: Sequence[IPNetwork]) -> tuple[IPAddress, ...]:
        """The container's addresses, one per subnet; empty unless it has one in each."""
        have = self._by_owner.get(owner, {})
        found = [have[s.version] for s in subnets if s.version in have and have[s.version] in s]
        return tuple(found) if len(found) == len(subnets) else ()

    def allocate(self, owner: str, device: str, subnets: Sequence[IPNetwork]) -> tuple[IPAddress, ...]:
        """Take one address in each subnet, or return those that the container has already.

        OutOfAddresses when a subnet is full.
        """
        if have := self.addresses(owner, subnets):
            return have
        self._prepare()
        for index, subnet in enumerate(subnets):
            had = self._by_owner.get(owner, {}).get(subnet.version)
            if had is not None and had not in subnet:
                self._free(had)
                had = None
            if had is None:
                self._take(owner, device, index, subnet)
        return self.addresses(owner, subnets)

    def release(self, owner: str) -> None:
        """Free the container's addresses; none is no error."""
        for address in tuple(self._by_owner.get(owner, {}).values()):
            self._free(address)

    def _prepare(self) -> None:
        """Make the directory, with the lock file of host-local's program; nobody needs to hold it here."""
        if not self._prepared:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / "lock").touch()
            self._prepared = True

    def _take(self, owner: str, device: str, index: int, subnet: IPNetwork) -> None:
        for address in _round(subnet, self._last.get(index)):
            if address in self._owners or not self._create(address, f"{owner}\r\n{device}"):
                continue
            self._enter(address, owner)
            self._last[index] = address
            _overwrite(self._directory / f"{_LAST}{index}", str(address))
            return
        raise OutOfAddresses(f"no free pod address in {subnet}: {len(self._owners)} are in use")

    def _create(self, address: IPAddress, content: str) -> bool:
        try:
            fd = os.open(f"{self._directory}/{address}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return False
        try:
            os.write(fd, content.encode())
        finally:
            os.close(fd)
        return True

    def _enter(self, address: IPAddress, owner: str) -> None:
        self._owners[address] = owner
        self._by_owner.setdefault(owner, {})[address.version] = address

    def _free(self, address: IPAddress) -> None:
        (self._directory / str(address)).unlink(missing_ok=True)
        owner = self._owners.pop(address, "")
        have = self._by_owner.get(owner, {})
        have.pop(address.version, None)
        if not have:
            self._by_owner.pop(owner, None)

    def _load(self) -> None:
        for path in self._directory.glob("*"):
            if path.name.startswith(_LAST):
                self._load_last(path)
            elif path.name != "lock":
                self._load_address(path)

    def _load_last(self, path: Path) -> None:
        try:
            self._last[int(path.name.removeprefix(_LAST))] = ip_address(path.read_text().strip())
        except ValueError:
            path.unlink(missing_ok=True)

    def _load_address(self, path: Path) -> None:
        try:
            address = ip_address(path.name)
            lines = path.read_text().split()
        except ValueError:
            return
        if lines:
            self._enter(address, lines[0])
        else:
            # Created, and then its writer was killed: nobody was ever told of this address.
            path.unlink(missing_ok=True)


def _overwrite(path: Path, text: str) -> None:
    """Write without O_TRUNC: ext4 flushes a file that was emptied and filled when it is closed."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.ftruncate(fd, os.pwrite(fd, text.encode(), 0))
    finally:
        os.close(fd)


def capacity(subnet: IPNetwork) -> int:
    """Addresses for pods: without the network's own, the gateway, and IPv4's broadcast."""
    return subnet.num_addresses - (3 if subnet.version == 4 else 2)


def _round(subnet: IPNetwork, last: IPAddress | None) -> Iterator[IPAddress]:
    """All pod addresses of the subnet once, from the one after `last` on, and around."""
    first = subnet.network_address + 2
    count = capacity(subnet)
    start = int(last) - int(first) + 1 if last is not None and last in subnet else 0
    for step in range(count):
        yield first + (start + step) % count
