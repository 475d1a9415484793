from fabric.api.kinds import BUILT_IN, LEASE, POD, Kind
from fabric.apiserver import schema


def test_every_built_in_kind_has_a_definition():
    assert all(schema.definition(kind) for kind in BUILT_IN)
    assert schema.definition_name(LEASE) == "io.k8s.api.coordination.v1.Lease"


def test_merge_keys_are_found_by_path():
    assert schema.merge_key(POD, "spec", "containers") == "name"
    assert schema.merge_key(POD, "spec", "containers", "ports") == "containerPort"
    assert schema.merge_key(POD, "spec", "tolerations") == ""
    assert schema.merge_key(POD, "spec", "nowhere") == ""


def test_a_kind_without_a_definition_has_no_shape():
    assert schema.shape(Kind("example.com", "v1", "Thing", "things", True)) is None


def test_what_a_definition_refers_to_comes_with_it():
    found = schema.referred("io.k8s.api.core.v1.Pod")
    assert "io.k8s.api.core.v1.Container" in found
    assert len(found) < len(schema.definitions()) / 2


def test_the_version_is_that_of_the_definitions():
    assert schema.version().startswith("v1.")
