"""Calico's selector language: what matches, one text for one meaning, and where a bad text goes wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico.selector import ALL, BadSelector, Selector

LABELS = {"app": "web", "role": "db", "zone": "eu-west", "in": "a"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("all()", True),
        ("global( )", True),
        ("app == 'web'", True),
        ('app == "db"', False),
        ("missing == 'web'", False),
        ("app != 'db'", True),
        ("missing != 'web'", True),
        ("has(app)", True),
        ("!has(app)", False),
        ("!!has( app )", True),
        ("role in {'db', \"cache\"}", True),
        ("role in {}", False),
        ("role not in {'db'}", False),
        ("missing not in {'db'}", True),
        ("missing in {'db'}", False),
        ("zone starts with 'eu'", True),
        ("zone ends   with 'west'", True),
        ("zone contains '-'", True),
        ("missing contains ''", False),
        ("app == 'db' || role == 'db' && has(zone)", True),
        ("(app == 'db' || role == 'db') && has(missing)", False),
        ("!(app == 'web' && role == 'web')", True),
        ("in in {'a'}", True),
    ],
)
def test_a_selector_matches_as_calico_does(text, matches):
    assert Selector.parse(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("", "all()"),
        (" app=='web'&&has( role ) ", '(app == "web" && has(role))'),
        ("role in {'z','a' , 'z',}", 'role in {"a", "z"}'),
        ("role not  in {'z'}", 'role not in {"z"}'),
        ("app == 'say \"hi\"'", "app == 'say \"hi\"'"),
        ("!! app == 'web'", 'app == "web"'),
        ("a=='1'||b=='2'&&!c=='3'", '(a == "1" || (b == "2" && !c == "3"))'),
    ],
)
def test_the_canonical_text_is_calicos(text, canonical):
    assert str(Selector.parse(text)) == canonical
    assert Selector.parse(canonical) == Selector.parse(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("app", "expected an operator after label app at column 4 of selector 'app'"),
        ("app = 'web'", "expected == at column 5"),
        ("app == web", "unexpected characters|expected string at column 8"),
        ("app == 'web", "unterminated string at column 8"),
        ("(app == 'web'", r"expected \) at column 14"),
        ("app in 'web'", "expected set literal at column 8"),
        ("app in {'web'", "expected } at column 14"),
        ("app == 'web' role == 'db'", "unexpected content at end of selector at column 14"),
        ("app & 'web'", "expected && at column 5"),
        ("&& has(app)", "expected a label, has"),
        ("app is 'web'", "was expecting an operator at column 5"),
        ("(" * 101 + "all()" + ")" * 101, "more than 100 parentheses"),
    ],
)
def test_a_text_that_is_no_selector_is_refused_with_its_column(text, complaint):
    with pytest.raises(BadSelector, match=complaint):
        Selector.parse(text)


# The oracle: an expression as nested tuples, rendered loosely and evaluated by itself.
names = st.sampled_from(["app", "role", "zone", "not", "in", "has", "x/y.z-1"])
values = st.text(st.characters(codec="ascii", exclude_characters="'"), max_size=6)
quoted = st.one_of(
    values.map(lambda v: (v, f"'{v}'")), values.filter(lambda v: '"' not in v).map(lambda v: (v, f'"{v}"'))
)
OPERATORS = {
    "==": lambda have, want: have == want,
    "!=": lambda have, want: have != want,
    " contains ": lambda have, want: (have or "").find(want) >= 0 and have is not None,
    " starts with": lambda have, want: have is not None and have[: len(want)] == want,
    " ends \twith ": lambda have, want: (
        have is not None and have[len(have) - len(want) :] == want if want else have is not None
    ),
}
leaves = st.one_of(
    st.tuples(names, st.sampled_from(list(OPERATORS)), quoted).map(
        lambda t: (f"{t[0]} {t[1]}{t[2][1]}", lambda labels: OPERATORS[t[1]](labels.get(t[0]), t[2][0]))
    ),
    st.tuples(names, st.lists(quoted, max_size=3), st.booleans()).map(
        lambda t: (
            f"{t[0]} {'in' if t[2] else 'not in'} {{{','.join(q for _, q in t[1])}}}",
            lambda labels: (labels.get(t[0]) in [v for v, _ in t[1]]) is t[2],
        )
    ),
    names.map(lambda name: (f"has({name} )", lambda labels: name in labels)),
    st.just(("all()", lambda labels: True)),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(lambda e: (f"!({e[0]})", lambda labels: not e[1](labels))),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]})&&({p[1][0]})", lambda labels: p[0][1](labels) and p[1][1](labels))
        ),
        st.tuples(inner, inner).map(
            lambda p: (f"({p[0][0]}) || ({p[1][0]})", lambda labels: p[0][1](labels) or p[1][1](labels))
        ),
    ),
    max_leaves=8,
)


@given(expressions, st.lists(st.dictionaries(names, values), max_size=4))
def test_matching_agrees_with_an_oracle(expression, label_sets):
    text, oracle = expression
    selector = Selector.parse(text)
    assert [selector.matches(labels) for labels in label_sets] == [
        bool(oracle(labels)) for labels in label_sets
    ]


@given(expressions)
def test_the_canonical_text_parses_to_the_same_selector(expression):
    selector = Selector.parse(expression[0])
    assert Selector.parse(str(selector)) == selector
    assert str(Selector.parse(str(selector))) == str(selector)


def test_the_empty_selector_is_all():
    assert Selector.parse("  ") == ALL and ALL.matches({})
