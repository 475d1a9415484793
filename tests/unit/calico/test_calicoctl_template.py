"""Go templates over resources: what Go's text/template and calicoctl make of them, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.calico_ipam import pool, put_resources
from support.calicoctl import Ctl

from calico.calicoctl import template
from calico.calicoctl.template_values import TemplateError, resource
from calico.resources.bgp_configuration import BGPConfiguration
from calico.resources.nodes import Node

POOLS = [
    pool("pool-1", "10.244.0.0/24", nat_outgoing=True).to_object()
    | {"metadata": {"name": "pool-1", "labels": {"rack": "1", "a/b": "x"}}},
    pool("pool-2", "10.244.1.0/24", disabled=True).to_object(),
]
LIST = resource({"kind": "IPPoolList", "apiVersion": "v3", "metadata": {}, "items": POOLS})
ONE = resource(POOLS[0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no action", "no action"),
        ("{{.ObjectMeta.Name}} {{.Spec.CIDR}}", "pool-1 10.244.0.0/24"),
        ("{{.Name}} {{.Kind}} {{.TypeMeta.Kind}} {{.Metadata.Name}}", "pool-1 IPPool IPPool pool-1"),
        ("{{.Spec.NATOutgoing}} {{.Spec.Disabled}} [{{.Spec.NamespaceSelector}}]", "true false []"),
        ("{{.Spec.BlockSize}} {{.Spec.AllowedUses}}", "28 [Workload Tunnel]"),
        ('{{index .Labels "rack"}}{{index .Spec.AllowedUses 1}}', "1Tunnel"),
        ("{{.Labels}} {{.Labels.rack}} [{{.Labels.none}}]", "map[a/b:x rack:1] 1 []"),
        ('{{join .Spec.AllowedUses ","}} {{join .Labels ","}}', "Workload,Tunnel a/b=x,rack=1"),
        ('{{joinAndTruncate .Spec.AllowedUses "," 11}}', "Workload..."),
        ("{{if .Spec.Disabled}}off{{else}}on{{end}}", "on"),
        ('{{if eq .Name "x"}}1{{else if eq .Name "pool-1" "y"}}2{{else}}3{{end}}', "2"),
        ("{{with .Spec}}{{.CIDR}}{{$.Name}}{{end}}", "10.244.0.0/24pool-1"),
        ("{{with .Spec.NamespaceSelector}}a{{else}}b{{end}}", "b"),
        ("{{range $i, $use := .Spec.AllowedUses}}{{$i}}={{$use}} {{end}}", "0=Workload 1=Tunnel "),
        ("{{range $use := .Spec.AllowedUses}}{{$use}}{{.}}{{end}}", "WorkloadWorkloadTunnelTunnel"),
        ("{{range .Spec.NamespaceSelector}}a{{else}}none{{end}}", "none"),
        ("{{$x := .Spec}}{{$x.CIDR}} {{$x = 3}}{{$x}}", "10.244.0.0/24 3"),
        ('{{printf "%-8s|%q|%v|%t|%d" .Name .Name 1 true 7}}', 'pool-1  |"pool-1"|1|true|7'),
        ('{{.Name | printf "%s-%s" "a"}}', "a-pool-1"),
        ("{{not true}} {{and 1 0 2}} {{or 0 2}} {{ne 1 2}}", "false 0 2 true"),
        ("{{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}}", "true true false false"),
        ('{{len .Name}} {{(index .Spec.AllowedUses 0) | len}} {{print 1 "a"}}', "6 8 1a"),
        ("{{$p := .}}{{index $p.Labels `rack`}}{{(print .Name).x | len}}", None),
        ("a  {{- .Name -}}  b {{/* nothing */}}c", "apool-1b c"),
        (r'{{"\t"}}{{`\t`}}{{true}}{{1.5}}', "\t\\ttrue1.5"),
        ("{{nil}}", "<no value>"),
    ],
)
def test_a_template_says_of_a_resource_what_go_says(text, said):
    if said is None:
        with pytest.raises(TemplateError, match="has no field x"):
            template.render(text, ONE)
    else:
        assert template.render(text, ONE) == said


def test_lists_are_ranged_over_as_in_calicos_pages():
    text = "{{range .}}{{range .Items}}{{.ObjectMeta.Name}},{{.Spec.Disabled}}\n{{end}}{{end}}"
    assert template.render(text, [LIST]) == "pool-1,false\npool-2,true\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n{{.Nothing}}", "there is no field Nothing; there are: "),
        ("{{.Spec.CIDRs}}", "there is no field CIDRs; there are: allowedUses, assignmentMode, blockSize"),
        ("{{.Spec.CIDR.IP}}", "'10.244.0.0/24' has no field IP: it is a str"),
        ("{{.Spec.AllowedUses.Name}}", "has no field Name: it is a list: range over it"),
        ("a\n{{frobnicate .}}", "line 2: function 'frobnicate' not defined; there are: and, "),
        ("{{if .Name}}", "line 1: {{if}} has no {{end}}"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{.Name", "line 1: unclosed action"),
        ("{{}}", "line 1: a value or a function is missing"),
        ("{{.Name | 3}}", "line 1: '3' is no function: a value cannot be piped into it"),
        ("{{.Name .Kind}}", "line 1: unexpected '.Kind' in '.Name .Kind'"),
        ("{{$x}}", "undefined variable $x"),
        ("{{(.Name}}", "line 1: a closing bracket is missing"),
        ("{{len}}", "wrong number or kind of arguments for len"),
        ("{{index .Spec.AllowedUses 7}}", "index 7 is not in a list"),
        ('{{printf "%d" .Name}}', "printf '%d': "),
        ("{{lt 1 .Name}}", "incompatible types for comparison"),
        ('{{define "x"}}{{end}}', "line 1: {{define}} is not supported here"),
        ("{{?}}", "line 1: unexpected '?'"),
        ("{{if 1}}" * 200 + "{{end}}" * 200, "blocks are nested more than 100 deep"),
    ],
)
def test_what_a_template_gets_wrong_is_said(text, said):
    with pytest.raises(TemplateError) as caught:
        template.render(text, ONE)
    assert said in str(caught.value)


WORDS = re.findall(
    r"\S+", "{{ }} {{- -}} if range end else . .Name $ $x := | ( ) 1 eq len index printf with x"
)
parts = st.sampled_from([*WORDS, " ", " ", "\n", '"a"'])


@example(["{{", "(" * 5000, "}}"])
@example(["{{", "if 1}}{{else " * 5000, "}}"])
@given(st.lists(parts, max_size=30))
def test_any_text_is_a_template_or_refused(texts):
    try:
        assert isinstance(template.render("".join(texts), ONE), str)
    except TemplateError as error:
        assert str(error)


@pytest.fixture
async def ctl():
    ctl = await Ctl().began()
    await put_resources(ctl.store, pool(), pool("pool-2", "10.244.1.0/24"))
    return ctl


async def test_get_prints_a_template_from_the_line_or_a_file(ctl, tmp_path):
    names = "{{range .}}{{range .Items}}{{.Name}} {{end}}{{end}}"
    assert await ctl.does("get", "ippools", "-o", f"go-template={names}") == "pool-1 pool-2 "
    (tmp_path / "names").write_text("{{range .}}{{.Spec.CIDR}}\n{{end}}")
    got = await ctl.does("get", "ippool", "pool-1", "pool-2", "-o", f"go-template-file={tmp_path}/names")
    assert got == "10.244.0.0/24\n10.244.1.0/24\n"


async def test_a_template_sees_the_as_number_that_a_node_says_itself(ctl):
    bgp = {"ipv4Address": "192.168.0.11/24"}
    node = Node.from_object({"kind": "Node", "metadata": {"name": "node-1"}, "spec": {"bgp": bgp}})
    await put_resources(ctl.store, node, BGPConfiguration.named("default", as_number=64600))
    text = "{{range .}}{{.Spec.BGP.IPv4Address}} {{end}}"
    assert await ctl.does("get", "node", "node-1", "-o", f"go-template={text}") == "192.168.0.11/24 "


async def test_a_template_that_is_missing_or_wrong_is_refused(ctl, tmp_path):
    get = ("get", "ippools", "-o")
    assert await ctl.refuses(*get, "go-template") == "need to specify a template"
    assert await ctl.refuses(*get, "go-template-file=") == "need to specify a template file"
    assert await ctl.refuses(*get, f"go-template-file={tmp_path}/none") == (
        f"open {tmp_path}/none: no such file or directory"
    )
    said = await ctl.refuses(*get, "go-template={{.Name}}")
    assert said.endswith("has no field Name: it is a list: range over it")
