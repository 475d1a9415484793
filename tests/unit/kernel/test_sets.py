from fabric.kernel.sets import compose, names, parse
from fabric.netstate.objects import IpSet
from fabric.netstate.plan import Step

SAVED = """\
create cali40s:1 hash:net family inet hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x5d2f
add cali40s:1 10.0.0.0/8
add cali40s:1 10.244.1.2
create cali60s:1 hash:net family inet6 hashsize 1024 maxelem 1048576 bucketsize 12 initval 0x5d2f
create ports hash:ip,port family inet hashsize 1024 maxelem 65536
add ports 10.0.0.1,tcp:80
create fabric-spare hash:ip family inet hashsize 1024 maxelem 65536
"""
FEW = IpSet("s", members=frozenset({"10.0.0.0/8"}))


def many(first: int, last: int) -> IpSet:
    return IpSet("s", members=frozenset(f"10.{n}.0.0/16" for n in range(first, last)))


def test_what_ipset_save_prints_becomes_sets_and_the_spare_is_none():
    assert set(parse(SAVED)) == {
        IpSet("cali40s:1", members=frozenset({"10.0.0.0/8", "10.244.1.2"})),
        IpSet("cali60s:1", family=6),
        IpSet("ports", "hash:ip,port", members=frozenset({"10.0.0.1,tcp:80"})),
    }
    assert names(SAVED) == {"cali40s:1", "cali60s:1", "ports", "fabric-spare"}


def test_a_new_set_is_made_and_filled():
    assert compose([Step("add", FEW)], ()) == (
        "create s hash:net family inet maxelem 1048576\nadd s 10.0.0.0/8\n"
    )


def test_a_set_that_is_there_is_not_made_again_and_one_that_is_gone_is_not_destroyed():
    assert compose([Step("add", FEW)], {"s"}) == ""
    assert compose([Step("delete", FEW)], ()) == ""


def test_a_rewritten_set_is_swapped_in_whole():
    assert compose([Step("replace", FEW, IpSet("s"))], {"s"}).splitlines() == [
        "create fabric-spare hash:net family inet maxelem 1048576",
        "add fabric-spare 10.0.0.0/8",
        "swap fabric-spare s",
        "destroy fabric-spare",
    ]


def test_a_small_change_of_a_large_set_is_written_as_its_members():
    assert compose([Step("replace", many(1, 41), many(0, 40))], {"s"}) == (
        "del s 10.0.0.0/16 -exist\nadd s 10.40.0.0/16 -exist\n"
    )


def test_the_spare_of_a_rewrite_that_was_cut_off_goes_first():
    text = compose([Step("replace", FEW, IpSet("s"))], {"s", "fabric-spare"})
    assert text.startswith("destroy fabric-spare\ncreate fabric-spare ")


def test_a_set_of_another_type_is_made_anew():
    text = compose([Step("replace", IpSet("s", "hash:ip"), FEW)], {"s"})
    assert text == "destroy s\ncreate s hash:ip family inet maxelem 1048576\n"


def test_sets_without_a_family_are_made_without_one():
    assert compose([Step("add", IpSet("p", "bitmap:port"))], ()) == "create p bitmap:port range 0-65535\n"
    assert compose([Step("add", IpSet("l", "list:set"))], ()) == "create l list:set\n"
