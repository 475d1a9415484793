"""Sandbox ids: 64 hex digits, the same wherever a pod's UID is known."""

from fabric.api.objects import sandbox_id
from fabric.plugin.contract import PodRef

UID = "6c0f1b1e-3a55-4f4c-9c6e-0d3f8a2b7c11"


def test_a_sandbox_id_reads_like_one_of_a_container_runtime():
    assert len(sandbox_id(UID)) == 64
    assert set(sandbox_id(UID)) <= set("0123456789abcdef")
    assert sandbox_id(UID) != sandbox_id(UID.replace("6", "7"))


def test_an_orphan_of_which_only_the_uid_is_known_has_its_pods_sandbox_id():
    known, orphan = PodRef("default", "pod-1", UID, f"pod:{UID}"), PodRef("", "", UID, f"pod:{UID}")
    assert known.sandbox_id == orphan.sandbox_id == sandbox_id(UID)
