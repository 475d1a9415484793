"""Query parameters and DeleteOptions."""

import pytest

from fabric.apiserver import queries
from fabric.apiserver.options import DeleteOptions, ListOptions
from fabric.errors import BadRequest, Invalid


def test_no_parameters_mean_the_defaults():
    assert queries.list_options({}) == ListOptions()
    assert queries.delete_options({}, {}) == DeleteOptions()


def test_the_body_of_a_delete_wins_over_its_query():
    body = {
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
        "dryRun": ["All"],
    }
    options = queries.delete_options({"gracePeriodSeconds": "30", "propagationPolicy": "Orphan"}, body)
    assert options == DeleteOptions(0, "Foreground", "u", "7", True)
    assert queries.delete_options({"gracePeriodSeconds": "30"}, {}).grace_period_seconds == 30
    assert queries.delete_options({}, {"orphanDependents": True}).propagation == "Orphan"


def test_writing_parameters_are_read():
    said = []
    options = queries.write_options(
        {"dryRun": "All", "fieldManager": "kubectl", "fieldValidation": "Strict"}, said.append
    )
    assert (options.dry_run, options.field_manager, options.field_validation) == (True, "kubectl", "Strict")
    options.warn("hello")
    assert said == ["hello"]


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "١", "9" * 19])
def test_a_number_that_is_none_is_refused(text):
    with pytest.raises(BadRequest, match="limit"):
        queries.list_options({"limit": text})


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ({"propagationPolicy": "Sideways"}, {}),
        ({"dryRun": "Some"}, {}),
        ({}, {"gracePeriodSeconds": "soon"}),
        ({}, {"gracePeriodSeconds": -1}),
        ({}, {"dryRun": ["Some"]}),
        ({}, {"dryRun": 5}),
        ({}, {"preconditions": 5}),
        ({}, {"preconditions": {"uid": 5}}),
        ({}, {"propagationPolicy": {"a": 1}}),
        ({}, {"orphanDependents": "x"}),
        ({}, {"dryRun": "All"}),
        ({}, {"gracePeriodSeconds": True}),
        ({}, {"kind": "ConfigMap", "apiVersion": "v1"}),
    ],
)
def test_delete_options_that_make_no_sense_are_refused(query, body):
    with pytest.raises(BadRequest):
        queries.delete_options(query, body)


def test_orphans_are_asked_for_in_either_way_but_not_in_both():
    assert queries.delete_options({}, {"orphanDependents": True}).propagation == "Orphan"
    assert queries.delete_options({"orphanDependents": "true"}, {}).propagation == "Orphan"
    with pytest.raises(Invalid) as refused:
        queries.delete_options({}, {"orphanDependents": True, "propagationPolicy": "Foreground"})
    assert refused.value.message == (
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Foreground": '
        "orphanDependents and deletionPropagation cannot be both set"
    )


def test_booleans_are_read_as_go_reads_them():
    for text in ("true", "1", "", "T", "yes", "x"):
        assert queries.truth({"watch": text}, "watch")
    for text in ("false", "0", "False"):
        assert not queries.truth({"watch": text}, "watch")
    assert not queries.truth({}, "watch")
