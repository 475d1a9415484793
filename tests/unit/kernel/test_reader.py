import struct

from fabric.kernel.links import device
from fabric.kernel.netlink import Request, attribute, text, u32
from fabric.kernel.nsids import NamespaceIds
from fabric.kernel.reader import Reader
from fabric.netstate.objects import Veth


class OneDump:
    """A netlink socket whose namespace has these devices, and answers no question."""

    def __init__(self, *bodies):
        self._bodies = bodies

    def dump(self, type, body, flags=0):
        return iter([(16, it) for it in self._bodies])

    def ask(self, requests):
        assert all(isinstance(request, Request) for request in requests)
        return [OSError(3, "No such process") for _ in requests]


def veth(netns_id):
    head = struct.pack("=BxHiII", 0, 0, 7, 1, 0)
    info = attribute(18, text(1, "veth"))
    return (
        head + text(3, "veth1") + u32(4, 1450) + u32(5, 2) + info + attribute(37, struct.pack("=i", netns_id))
    )


def test_the_far_end_of_a_pair_in_a_namespace_without_a_number_is_unknown():
    assert device(veth(-1)).netns_id == -1
    reader = Reader("node-1", NamespaceIds("node-1", {"node-1": 1}))
    found = set(reader.read(OneDump(veth(-1)), frozenset({Veth})))
    assert found == {Veth("veth1", "", "", 1450, "")}
