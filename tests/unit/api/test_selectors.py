import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabric.api.selectors import FieldSelector, LabelSelector
from fabric.errors import BadRequest

LABELS = {"app": "web", "tier": "front", "weight": "10", "example.com/zone": "a"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("app=web", True),
        ("app==web", True),
        ("app=db", False),
        ("app!=db", True),
        ("app!=web", False),
        ("absent!=x", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("! app", False),
        ("app in (web, db)", True),
        ("app in(db)", False),
        ("app notin (db,)", True),
        ("absent notin (a)", True),
        ("weight>9", True),
        ("weight>10", False),
        ("weight<11,app=web", True),
        ("app>1", False),
        ("example.com/zone=a,app in (web),!absent,tier", True),
        ("in=x", False),
        (" app = web , tier = front ", True),
        ("absent=", False),
    ],
)
def test_a_label_selector_means_what_kubectl_says(text, matches):
    assert LabelSelector.parse(text).matches(LABELS) is matches


UNREADABLE = ["=web", "app in", "app in (", "app in web", "app=web,", "a b", "app=(x)", "!", "a=b c", "-a=b"]
UNREADABLE += ["a in ()x", "x>y", "app=web!", "a/b/c=d", "k=" + "x" * 64]


@pytest.mark.parametrize("text", UNREADABLE)
def test_a_label_selector_that_cannot_be_read_is_a_bad_request_that_shows_it(text):
    with pytest.raises(BadRequest, match="unable to parse requirement"):
        LabelSelector.parse(text)


def test_an_absent_selector_in_an_object_selects_nothing_and_an_empty_one_everything():
    assert not LabelSelector.from_object(None).matches(LABELS)
    assert LabelSelector.from_object({}).matches({})


def test_match_labels_and_match_expressions_must_all_hold():
    selector = LabelSelector.from_object(
        {
            "matchLabels": {"app": "web"},
            "matchExpressions": [
                {"key": "tier", "operator": "In", "values": ["front", "back"]},
                {"key": "absent", "operator": "DoesNotExist"},
            ],
        }
    )
    assert selector.matches(LABELS)
    assert not selector.matches({**LABELS, "absent": ""})


def test_an_unknown_operator_in_an_object_is_a_bad_request():
    with pytest.raises(BadRequest, match="not a valid selector operator"):
        LabelSelector.from_object({"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]})


@given(st.text(max_size=30))
def test_any_text_is_a_selector_or_a_bad_request(text):
    for parse in (LabelSelector.parse, FieldSelector.parse):
        try:
            parse(text)
        except BadRequest:
            continue


WORDS = st.text("abcxyz019", min_size=1, max_size=8)


@given(st.dictionaries(WORDS, WORDS), st.lists(st.tuples(WORDS, st.sampled_from(["=", "!="]), WORDS)))
def test_what_a_selector_prints_reads_back_as_itself(labels, requirements):
    selector = LabelSelector.parse(",".join(map("".join, requirements)))
    again = LabelSelector.parse(str(selector))
    assert again == selector
    assert again.matches(labels) == all(
        (labels.get(key) == value) == (operator == "=") for key, operator, value in requirements
    )


POD = {
    "metadata": {"name": "pod-1"},
    "spec": {"nodeName": "node-1", "a": "b,c=d"},
    "status": {"phase": "Running"},
}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("metadata.name=pod-1", True),
        ("metadata.name==pod-1,spec.nodeName=node-1", True),
        ("spec.nodeName!=node-1", False),
        ("status.phase!=Failed,status.phase!=Succeeded", True),
        ("spec.nodeName=", False),
        ("status.podIP=", True),
        ("spec.unschedulable=false", True),
        (r"spec.a=b\,c\=d", True),
    ],
)
def test_a_field_selector_compares_fields_as_text(text, matches):
    assert FieldSelector.parse(text).matches(POD) is matches


def test_a_field_selector_without_an_operator_is_a_bad_request():
    with pytest.raises(BadRequest, match="invalid selector: 'spec'"):
        FieldSelector.parse("spec")


def test_an_events_source_is_its_component():
    assert FieldSelector.parse("source=kubelet").matches(
        {"source": {"component": "kubelet", "host": "node-1"}}
    )
