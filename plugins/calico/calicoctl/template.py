"""Go templates, as `get -o go-template=…` takes them: actions, pipelines, variables, if, with and range.

    {{range .}}{{range .Items}}{{.ObjectMeta.Name}}: {{.Spec.CIDR}}{{"\\n"}}{{end}}{{end}}

A text is cut into tokens, read into a tree of nodes, and each node writes what it says of a value. What Go
has beyond that (define, block, template, break, continue) is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from calico.calicoctl.template_values import FUNCTIONS, TemplateError, is_true, printed
from calico.calicoctl.template_values import field as field_of

_ACTION = re.compile(r"\{\{(-\s)?(.*?)(\s-)?\}\}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<number>-?\d+(?:\.\d+)?)|(?P<assign>:?=)"""
    r"""|(?P<sign>[|(),])|(?P<word>\$?[A-Za-z_]\w*|\$)|(?P<chain>(?:\.[A-Za-z_]\w*)+|\.))"""
)
_CONSTANTS = {"true": True, "false": False, "nil": None}
_NOT_HERE = ("define", "block", "template", "break", "continue")
DEPTH_MAX = 100

Scope = dict[str, Any]
Value = Callable[[Any, Scope], Any]
"""(dot, variables) → value."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of a template: text, an action, or a block with what is inside."""

    word: str
    """text, print, if, with or range."""
    text: str = ""
    value: Value = lambda dot, scope: None
    names: tuple[str, ...] = ()
    """Variables that the action sets."""
    body: list[Node] = field(default_factory=list)
    other: list[Node] = field(default_factory=list)
    """What stands behind `else`."""


def render(text: str, value: Any) -> str:
    """The template's text for this value; TemplateError says what is wrong with it, and in which line."""
    try:
        return "".join(_written(_Parser(text).nodes(), value, {"$": value}))
    except RecursionError:
        raise TemplateError("nested too deeply") from None


def _written(nodes: Sequence[Node], dot: Any, scope: Scope) -> Iterator[str]:
    for node in nodes:
        if node.word == "text":
            yield node.text
        elif node.word == "print":
            found = node.value(dot, scope)
            scope.update(dict.fromkeys(node.names, found))
            if not node.names:
                yield printed(found)
        else:
            yield from _block(node, dot, scope)


def _block(node: Node, dot: Any, scope: Scope) -> Iterator[str]:
    found = node.value(dot, scope)
    if node.word == "range":
        pairs = list(found.items() if isinstance(found, dict) else enumerate(found or ()))
        for index, item in pairs:
            names = dict(zip(node.names, (index, item) if len(node.names) == 2 else (item,), strict=False))
            yield from _written(node.body, item, scope | names)
        if not pairs:
            yield from _written(node.other, dot, dict(scope))
        return
    inner = scope | dict.fromkeys(node.names, found)
    if is_true(found):
        yield from _written(node.body, found if node.word == "with" else dot, inner)
    else:
        yield from _written(node.other, dot, inner)


class _Parser:
    """A parser of one template: it reads actions one after another, and blocks until their end."""

    def __init__(self, text: str) -> None:
        self._pieces = list(_pieces(text))
        self._at = 0
        self._depth = 0

    def nodes(self) -> list[Node]:
        found, end = self._until()
        if end:
            raise TemplateError(f"unexpected {{{{{end}}}}}")
        return found

    def _until(self) -> tuple[list[Node], str]:
        """The nodes up to an `else` or `end` of the block around, and that action; or up to the end."""
        found: list[Node] = []
        while self._at < len(self._pieces):
            line, is_action, text = self._pieces[self._at]
            self._at += 1
            word = text.split(None, 1)[0] if is_action and text.split() else ""
            if word in ("end", "else"):
                return found, text
            if is_action:
                try:
                    found.append(self._action(word, text))
                except TemplateError as error:
                    where = "" if str(error).startswith("line ") else f"line {line}: "
                    raise TemplateError(f"{where}{error}") from None
            elif text:
                found.append(Node("text", text))
        return found, ""

    def _action(self, word: str, text: str) -> Node:
        if word in _NOT_HERE:
            raise TemplateError(f"{{{{{word}}}}} is not supported here")
        if text.startswith("/*"):
            return Node("text", "")
        if word not in ("if", "with", "range"):
            names, value = _pipeline(text)
            return Node("print", value=value, names=names)
        return self._block(word, text[len(word) :])

    def _block(self, word: str, text: str) -> Node:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise TemplateError(f"blocks are nested more than {DEPTH_MAX} deep")
        names, value = _pipeline(text)
        body, end = self._until()
        other: list[Node] = []
        if end.startswith("else"):
            rest = end.removeprefix("else").strip()
            if rest:
                other = [self._action(rest.split(None, 1)[0], rest)]
                end = "end"
            else:
                other, end = self._until()
        if end != "end":
            raise TemplateError(f"{{{{{word}}}}} has no {{{{end}}}}")
        self._depth -= 1
        return Node(word, value=value, names=names, body=body, other=other)


def _pieces(text: str) -> Iterator[tuple[int, bool, str]]:
    """Yield (line, is an action, text): texts and actions in turn, trimmed where an action says so."""
    position, trims = 0, False
    for found in _ACTION.finditer(text):
        before = text[position : found.start()]
        before = before.lstrip() if trims else before
        line = text.count("\n", 0, found.start()) + 1
        yield line, False, before.rstrip() if found[1] else before
        yield line, True, found[2].strip()
        position, trims = found.end(), bool(found[3])
    last = text[position:]
    if "{{" in last:
        raise TemplateError(f"line {text.count(chr(10), 0, position) + 1}: unclosed action")
    yield 0, False, last.lstrip() if trims else last


def _pipeline(text: str) -> tuple[tuple[str, ...], Value]:
    """The variables that an action sets, and its value."""
    tokens = _tokens(text)
    assign = next((index for index, (kind, _) in enumerate(tokens) if kind == "assign"), None)
    names: tuple[str, ...] = ()
    if assign is not None:
        names = tuple(word for kind, word in tokens[:assign] if kind == "word" and word.startswith("$"))
        tokens = tokens[assign + 1 :]
    value = _piped(tokens)
    if tokens:
        raise TemplateError(f"unexpected {tokens[0][1]!r} in {text.strip()!r}")
    return names, value


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position, text = 0, text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise TemplateError(f"unexpected {text[position:].strip()[:20]!r}")
        kind = match.lastgroup
        is_suffix = kind == "chain" and found and found[-1][1][-1] not in "(,|" and text[position] == "."
        found.append(("suffix" if is_suffix else kind, match[kind]))
        position = match.end()
    return found


def _piped(tokens: list[tuple[str, str]]) -> Value:
    """A pipeline up to the end or a closing bracket: each command gets the value of the one before it."""
    value = _command(tokens, None)
    while tokens and tokens[0][1] == "|":
        tokens.pop(0)
        value = _command(tokens, value)
    return value


def _command(tokens: list[tuple[str, str]], before: Value | None) -> Value:
    if not tokens or tokens[0][1] in ("|", ")"):
        raise TemplateError("a value or a function is missing")
    kind, word = tokens[0]
    if kind == "word" and not word.startswith("$") and word not in _CONSTANTS:
        tokens.pop(0)
        function = FUNCTIONS.get(word)
        if function is None:
            raise TemplateError(f"function {word!r} not defined; there are: {', '.join(sorted(FUNCTIONS))}")
        arguments = []
        while tokens and tokens[0][1] not in ("|", ")"):
            arguments.append(_operand(tokens))
        return _called(word, function, [*arguments, *([before] if before else [])])
    if before is not None:
        raise TemplateError(f"{word!r} is no function: a value cannot be piped into it")
    return _operand(tokens)


def _called(name: str, function: Callable[..., Any], arguments: Sequence[Value]) -> Value:
    def call(dot: Any, scope: Scope) -> Any:
        values = [argument(dot, scope) for argument in arguments]
        try:
            return function(*values)
        except (TypeError, IndexError):
            raise TemplateError(f"wrong number or kind of arguments for {name}") from None

    return call


def _operand(tokens: list[tuple[str, str]]) -> Value:
    kind, word = tokens.pop(0)
    if kind == "sign" and word == "(":
        value = _piped(tokens)
        if not tokens or tokens.pop(0)[1] != ")":
            raise TemplateError("a closing bracket is missing")
    elif kind == "chain":
        return _fields(word, lambda dot, scope: dot)
    elif kind == "word" and word.startswith("$"):
        value = _variable(word)
    elif kind == "word" and word in _CONSTANTS:
        value = _constant(_CONSTANTS[word])
    elif kind == "text":
        value = _constant(word[1:-1] if word.startswith("`") else json.loads(word))
    elif kind == "number":
        value = _constant(float(word) if "." in word else int(word))
    else:
        raise TemplateError(f"unexpected {word!r}")
    if tokens and tokens[0][0] == "suffix":
        return _fields(tokens.pop(0)[1], value)
    return value


def _fields(chain: str, value: Value) -> Value:
    names = [name for name in chain.split(".") if name]

    def follow(dot: Any, scope: Scope) -> Any:
        found = value(dot, scope)
        for name in names:
            found = field_of(found, name)
        return found

    return follow


def _variable(name: str) -> Value:
    def look(dot: Any, scope: Scope) -> Any:
        if name not in scope:
            raise TemplateError(f"undefined variable {name}")
        return scope[name]

    return look


def _constant(value: Any) -> Value:
    return lambda dot, scope: value
