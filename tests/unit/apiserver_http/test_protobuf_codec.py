"""Objects as Kubernetes' protobuf: what goes in comes out, and nonsense is a refusal."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.api.kinds import BUILT_IN, Kind
from fabric.apiserver import bindings, protobuf_codec
from fabric.apiserver.go_types import structs
from fabric.errors import BadRequest, UnsupportedMediaType

POD = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "name": "pod-1",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"app": "web", "empty": ""},
        "managedFields": [{"manager": "x", "fieldsV1": {"f:spec": {}}}],
    },
    "spec": {
        "volumes": [
            {"name": "v", "emptyDir": {}},
            {"name": "c", "configMap": {"name": "c", "optional": False}},
        ],
        "containers": [
            {
                "name": "web",
                "image": "nginx",
                "ports": [{"containerPort": 80}],
                "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "resources": {"limits": {"cpu": "1500m"}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 3},
                "securityContext": {"runAsUser": 0, "privileged": False},
            }
        ],
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": -1}],
    },
    "status": {"startTime": "1969-12-31T23:59:59Z"},
}
LEASE = {
    "kind": "Lease",
    "apiVersion": "coordination.k8s.io/v1",
    "metadata": {"name": "node-1"},
    "spec": {
        "holderIdentity": "node-1",
        "renewTime": "2026-01-01T00:00:00.123456Z",
        "leaseDurationSeconds": 40,
    },
}
SECRET = {
    "kind": "Secret",
    "apiVersion": "v1",
    "metadata": {"name": "s"},
    "data": {"a": "AP8="},
    "immutable": True,
}
LIST = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": []}
DELETE = {"kind": "DeleteOptions", "apiVersion": "policy/v1", "gracePeriodSeconds": 0, "dryRun": ["All"]}


@pytest.mark.parametrize("obj", [POD, LEASE, SECRET, DELETE], ids=lambda obj: obj["kind"])
def test_what_goes_in_comes_out(obj):
    assert protobuf_codec.decode(protobuf_codec.encode(obj)) == obj


def test_a_time_before_the_year_1000_goes_in_and_comes_out():
    lease = LEASE | {"spec": {"renewTime": "0800-12-25T00:00:00.000001Z"}}
    assert protobuf_codec.decode(protobuf_codec.encode(lease)) == lease
    pod = POD | {"status": {"startTime": "0001-01-01T00:00:01Z"}}
    assert protobuf_codec.decode(protobuf_codec.encode(pod)) == pod


def test_gos_zero_time_is_null():
    lease = LEASE | {"spec": {"holderIdentity": "a", "renewTime": "0001-01-01T00:00:00Z"}}
    read = protobuf_codec.decode(protobuf_codec.encode(lease))
    assert read["spec"] == {"holderIdentity": "a"}


CREATE_NAMESPACE = (
    "6b3873000a0f0a02763112094e616d657370616365121c0a140a047465616d12001a0022002a003200380042001200"
    "1a020a001a002200"
)
CREATE_CONFIG_MAP = (
    "6b3873000a0f0a0276311209436f6e6669674d6170121b0a110a016312001a0022002a003200380042001206"
    "0a01611201621a002200"
)


def test_what_kubectl_sends_is_read_as_its_json_would_be():
    """From `kubectl create namespace team` and `create configmap c --from-literal=a=b`, 1.32 and 1.36."""
    assert protobuf_codec.decode(bytes.fromhex(CREATE_NAMESPACE)) == {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {"name": "team"},
        "spec": {},
        "status": {},
    }
    assert protobuf_codec.decode(bytes.fromhex(CREATE_CONFIG_MAP)) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "c"},
        "data": {"a": "b"},
    }


def test_what_go_leaves_out_when_it_is_empty_is_left_out():
    named = protobuf_codec.encode(
        {**SECRET, "type": "", "metadata": {"name": "s", "namespace": "", "generation": 0}}
    )
    assert protobuf_codec.decode(named) == SECRET


def test_every_kind_that_is_served_has_its_message():
    missing = [
        kind for kind in (*BUILT_IN, bindings.BINDING, bindings.EVICTION) if not protobuf_codec.is_known(kind)
    ]
    assert not missing, "add it to ROOTS in bin/go-types, and run that"
    assert not protobuf_codec.is_known(Kind("crd.example.com", "v1", "Pod", "pods", True))


def test_a_kind_without_a_message_is_unsupported():
    body = protobuf_codec.encode(SECRET).replace(b"Secret", b"Secrex")
    with pytest.raises(UnsupportedMediaType, match="v1 Secrex is not taken as protobuf"):
        protobuf_codec.decode(body)


@given(st.binary(max_size=60), st.integers(0, 200))
def test_any_bytes_are_an_object_or_a_refusal(noise, at):
    whole = protobuf_codec.encode(POD)
    for body in (protobuf_codec.MAGIC + noise, whole[:at] + noise + whole[at:], whole[: len(whole) - at]):
        with suppress(BadRequest, UnsupportedMediaType):
            assert protobuf_codec.decode(body)["kind"]


@given(st.binary(max_size=80), st.sampled_from(sorted(structs())))
def test_any_message_of_any_struct_is_an_object_or_a_refusal(content, name):
    with suppress(ValueError, OverflowError):
        assert isinstance(protobuf_codec._decoded(name, content), dict)
