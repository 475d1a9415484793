"""The rules of names say which of them is broken, in apimachinery's words."""

from __future__ import annotations

import pytest

from fabric.api import names
from fabric.api.selectors import LabelSelector, Requirement
from fabric.errors import BadRequest

_NAME = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("key", "faults"),
    [
        ("app", []),
        ("example.com/App_1.x", []),
        (
            "a/b/c",
            [
                f"a qualified name {_NAME} with an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')"
            ],
        ),
        ("a" * 64, ["name part must be no more than 63 bytes"]),
        ("/a", ["prefix part must be non-empty"]),
        ("a/", ["name part must be non-empty", f"name part {_NAME}"]),
        ("p" * 254 + "/a", ["prefix part must be no more than 253 bytes"]),
        ("a b", [f"name part {_NAME}"]),
        ("ä", [f"name part {_NAME}"]),
    ],
)
def test_a_key_of_a_label(key, faults):
    assert names.qualified_name_faults(key) == faults


def test_the_prefix_of_a_key_is_a_subdomain():
    (fault,) = names.qualified_name_faults("Example.com/app")
    assert fault.startswith("prefix part a lowercase RFC 1123 subdomain must consist of lower case")


def test_a_value_of_64_characters_is_too_long_and_nothing_else():
    assert names.label_value_faults("v" * 63) == []
    assert names.label_value_faults("v" * 64) == ["must be no more than 63 bytes"]


def test_a_value_with_a_space_breaks_the_rule_of_letters():
    (fault,) = names.label_value_faults("c d")
    assert fault.startswith("a valid label must be an empty string or consist of alphanumeric characters")


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.port_name_faults, ["http", "a1"], ["", "1", "a--b", "-a", "A", "a" * 16]),
        (names.env_name_faults, ["A", "a-b.c", "1", "a b"], ["", "a=b", "ü", "a\nb"]),
        (names.config_key_faults, ["a", "A_b.c-d"], ["", "a/b", ".", "..", "..a", "a" * 254]),
        (names.dns_search_faults, [".", "a.", "_tcp.a"], ["", "a b", "-a", "A"]),
        (names.ip_faults, ["10.0.0.1", "::1"], ["", "10.0.0", "fe80::1%eth0", "a"]),
        (names.cidr_faults, ["10.0.0.0/8", "fd00::/64"], ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33"]),
        (names.path_segment_faults, ["a:b"], [".", "..", "a/b", "a%b"]),
        (names.dns_label_faults, ["a", "a-1"], ["", "a.b", "A", "a-", "a" * 64]),
        (names.dns_subdomain_faults, ["a", "a.b-1"], ["", "a..b", "A", "a" * 254]),
    ],
)
def test_each_rule_knows_good_from_bad(rule, good, bad):
    assert [text for text in good if list(rule(text))] == []
    assert [text for text in bad if not list(rule(text))] == []


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({"matchLabels": {"a/b/c": "x"}}, "a qualified name must consist of"),
        ({"matchLabels": {"app": "v" * 64}}, 'values[0][app]: Invalid value: "' + "v" * 64),
        ({"matchLabels": {"app": "v" * 64}}, "must be no more than 63 bytes"),
    ],
)
def test_a_selector_names_the_rule_too(selector, words):
    with pytest.raises(BadRequest) as caught:
        LabelSelector.from_object(selector)
    assert words in caught.value.message


def test_a_comparison_without_a_bound_matches_nothing():
    assert not Requirement("zone", "Gt", ()).matches({"zone": "1"})
    assert not Requirement("zone", "Lt", ("1", "2")).matches({"zone": "0"})
