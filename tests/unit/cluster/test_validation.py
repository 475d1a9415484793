from pathlib import Path

import pytest

from fabric.cluster import validation
from fabric.errors import BadInput
from fabric.topology.load import loads

HEAD = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {{name: t}}
spec:
  nodes: 2
  network: {{plugin: {plugin}}}
  manifests:
"""
POD = """\
    - apiVersion: v1
      kind: Pod
      metadata: {name: pod-1}
      spec:
        containers:
          - name: main
            image: echo
"""


def refused(manifests: str, plugin: str = "flannel") -> list[str]:
    """The problems of a file with these manifests; its line 8 is their first."""
    topology = loads(HEAD.format(plugin=plugin) + manifests, Path("t.yaml"))
    try:
        validation.check_manifests(topology)
    except BadInput as error:
        return [str(problem) for problem in error.problems]
    return []


def test_what_is_right_is_taken():
    assert refused(POD) == []


def test_a_misspelt_key_is_named_at_its_line():
    assert refused(POD + "            imag: echo\n") == [
        't.yaml:15: Pod default/pod-1: unknown field "spec.containers[0].imag"'
    ]


def test_all_faults_are_told_at_once_each_at_its_line():
    more = """\
    - apiVersion: v1
      kind: Pod
      metadata: {name: pod-2, labels: {a: "b c"}}
      spec:
        containers:
          - name: main
            image: echo
            ports:
              - containerPort: 80
              - containerPort: 99999
    - apiVersion: v1
      kind: ConfigMap
      metadata: {name: map-1, namespace: nowhere}
"""
    found = refused(POD + more)
    assert [problem.split(": ")[0] for problem in found] == ["t.yaml:17", "t.yaml:24", "t.yaml:25"]
    assert "metadata.labels" in found[0]
    assert "spec.containers[0].ports[1].containerPort" in found[1]
    assert found[2] == 't.yaml:25: ConfigMap nowhere/map-1: namespaces "nowhere" not found'


def test_a_namespace_of_the_file_counts_wherever_it_stands():
    pod = POD.replace("{name: pod-1}", "{name: pod-1, namespace: space-1}")
    assert refused(pod + "    - {apiVersion: v1, kind: Namespace, metadata: {name: space-1}}\n") == []


def test_a_second_object_of_a_name_is_refused():
    assert refused(POD + POD) == ["t.yaml:15: a second Pod default/pod-1; the first is at t.yaml:8"]


def test_a_kind_that_is_not_served_is_refused_with_those_that_are():
    (found,) = refused("    - {apiVersion: v1, kind: Widget, metadata: {name: x}}\n")
    assert found.startswith("t.yaml:8: no kind 'Widget' in 'v1'; served: ConfigMap, ")


def test_a_kind_that_only_the_plugin_writes_is_refused():
    affinity = "{apiVersion: projectcalico.org/v3, kind: BlockAffinity, metadata: {name: x}}"
    (found,) = refused(f"    - {affinity}\n", plugin="calico")
    assert found.startswith("t.yaml:8: no kind 'BlockAffinity'")
    assert "IPPool" in found


def test_the_plugin_has_its_say_with_what_it_brings_itself():
    pool = (
        "{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: p}, spec: {cidr: 10.244.0.0/17}}"
    )
    (found,) = refused(f"    - {pool}\n", plugin="calico")
    assert "t.yaml:8: IPPool p: " in found
    assert "overlaps" in found


def test_a_fault_in_another_file_has_its_line_there(tmp_path):
    listed = POD + "            imag: echo\n"
    (tmp_path / "pods.yaml").write_text("apiVersion: v1\nkind: List\nitems:\n" + listed)
    topology = loads(HEAD.format(plugin="flannel") + "    - pods.yaml\n", tmp_path / "t.yaml")
    with pytest.raises(BadInput, match=r"pods\.yaml:11: Pod default/pod-1: unknown field"):
        validation.check_manifests(topology)


def test_what_the_server_warns_of_is_told_at_its_line():
    felix = """\
    - apiVersion: projectcalico.org/v3
      kind: FelixConfiguration
      metadata: {name: default}
      spec:
        bpfEnabled: true
"""
    topology = loads(HEAD.format(plugin="calico") + felix, Path("t.yaml"))
    (warning,) = map(str, validation.check_manifests(topology))
    assert warning.startswith("t.yaml:12: FelixConfiguration default: spec.bpfEnabled: it changes nothing")


def test_a_resource_of_the_network_section_is_warned_of_at_its_line():
    network = """\
apiVersion: fabric.dev/v1
kind: Topology
metadata: {name: t}
spec:
  nodes: 2
  network:
    plugin: calico
    options:
      resources:
        - apiVersion: projectcalico.org/v3
          kind: FelixConfiguration
          metadata: {name: default}
          spec:
            natPortRange: 1000:2000
            bpfEnabled: true
"""
    (warning,) = map(str, validation.check_manifests(loads(network, Path("t.yaml"))))
    assert warning.startswith("t.yaml:15: FelixConfiguration default: spec.bpfEnabled: it changes nothing")


def test_an_image_that_is_not_there_is_warned_of_at_its_line():
    unknown = POD.replace("image: echo", "image: registry.example/redis:7")
    added = "  images: {redis: {command: [sh]}}\n"
    (warning,) = map(
        str, validation.check_manifests(loads(HEAD.format(plugin="flannel") + unknown, Path("t.yaml")))
    )
    assert warning.startswith('t.yaml:14: Pod pod-1: image "registry.example/redis:7": no image of that name')
    topology = loads(HEAD.format(plugin="flannel") + unknown + added, Path("t.yaml"))
    assert validation.check_manifests(topology) == []


def test_a_pod_of_a_node_that_the_file_does_not_have_is_refused_at_its_line():
    bound = POD.replace("      spec:\n", "      spec:\n        nodeName: node-2\n")
    assert refused(bound) == []
    assert refused(bound.replace("node-2", "node-7")) == [
        't.yaml:12: Pod pod-1: spec.nodeName: the file has no node "node-7"; there: node-1, node-2'
    ]


def test_a_pod_without_an_image_is_refused_once():
    (refusal,) = refused(POD.replace("            image: echo\n", ""))
    assert "image: Required value" in refusal


def test_what_many_pods_ask_for_without_effect_is_told_once_for_their_kind():
    pods = "".join(
        POD.replace("pod-1", name) + "            stdin: true\n" for name in ("pod-1", "pod-2", "pod-3")
    )
    topology = loads(HEAD.format(plugin="flannel") + pods, Path("t.yaml"))
    (warning,) = map(str, validation.check_manifests(topology))
    assert warning.startswith("t.yaml:15: Pod default/pod-1: spec.containers[0].stdin: it changes nothing")
    assert warning.endswith("(and in 2 more places)")


QUOTED = "; allowed: text; YAML reads no text here: put it into quotes"


def test_a_text_that_yaml_reads_as_something_else_is_named_at_its_own_line():
    surprises = """\
    - apiVersion: v1
      kind: Pod
      metadata:
        name: pod-1
        labels:
          a.b/on: yes
          off: no
          octal: 010
          minutes: 1:30
          date: 2026-01-31
          none: ~
      spec:
        containers:
          - {name: main, image: echo, command: [sleep, 100], ports: [{containerPort: "80"}]}
    - apiVersion: v1
      kind: ConfigMap
      metadata: {name: settings}
      data:
        version: 1.20
      immutable: "yes"
"""
    assert refused(surprises) == [
        f"t.yaml:13: Pod default/pod-1: metadata.labels.a.b/on is true{QUOTED}",
        f"t.yaml:14: Pod default/pod-1: metadata.labels.off is false{QUOTED}",
        f"t.yaml:15: Pod default/pod-1: metadata.labels.octal is 8{QUOTED}",
        f"t.yaml:16: Pod default/pod-1: metadata.labels.minutes is 90{QUOTED}",
        f"t.yaml:21: Pod default/pod-1: spec.containers[0].command[1] is 100{QUOTED}",
        't.yaml:21: Pod default/pod-1: spec.containers[0].ports[0].containerPort is "80"; '
        "allowed: a whole number of 32 bits",
        f"t.yaml:26: ConfigMap default/settings: data.version is 1.2{QUOTED}",
        't.yaml:27: ConfigMap default/settings: immutable is "yes"; allowed: true or false',
    ]


def pods(names, image="echo", more=""):
    spec = f"spec: {{containers: [{{name: main, image: {image}{more}}}]}}"
    return "".join(f"    - {{apiVersion: v1, kind: Pod, metadata: {{name: {n}}}, {spec}}}\n" for n in names)


def test_pods_that_differ_in_their_names_only_are_asked_about_once(monkeypatch):
    asked = []

    async def counted(client, kind, manifest):
        asked.append(manifest.object["metadata"]["name"])
        await applied(client, kind, manifest)

    applied = validation.apply_one
    monkeypatch.setattr(validation, "apply_one", counted)
    assert refused(pods(["pod-1", "pod-2", "pod-30"]) + pods(["pod-4"], image="pause")) == []
    assert asked == ["pod-30", "pod-4"]


def test_each_of_pods_that_are_wrong_alike_is_named_at_its_line():
    wrong = ", ports: [{containerPort: 99999}]"
    found = refused(pods(["pod-1", "pod-20", "pod-3"], more=wrong))
    assert [text.split(": spec")[0] for text in found] == [
        "t.yaml:8: Pod default/pod-1",
        "t.yaml:9: Pod default/pod-20",
        "t.yaml:10: Pod default/pod-3",
    ]


def test_a_name_that_is_wrong_is_refused_among_pods_that_are_alike():
    found = refused(pods(["pod-1", "Pod_2", "pod-3"]))
    assert len(found) == 1 and found[0].startswith("t.yaml:9: Pod default/Pod_2: metadata.name")


def test_a_warning_about_pods_that_are_alike_counts_them_all():
    more = ", livenessProbe: {tcpSocket: {port: 80}}"
    topology = loads(
        HEAD.format(plugin="flannel") + pods(["pod-1", "pod-20", "pod-3"], more=more), Path("t.yaml")
    )
    [told] = validation.check_manifests(topology)
    assert str(told).startswith("t.yaml:8: Pod default/pod-1: ") and str(told).endswith(
        "(and in 2 more places)"
    )


@pytest.mark.parametrize(
    ("plugin", "warnings"),
    [
        ("flannel", ["the network plugin flannel does not enforce NetworkPolicy"]),
        ("calico", []),
        ("canal", []),
    ],
)
def test_a_network_policy_is_warned_of_where_the_network_plugin_leaves_it_alone(plugin, warnings):
    policy = """\
    - apiVersion: networking.k8s.io/v1
      kind: NetworkPolicy
      metadata: {name: deny-all}
      spec: {podSelector: {}}
"""
    topology = loads(HEAD.format(plugin=plugin) + policy, Path("t.yaml"))
    told = [str(problem) for problem in validation.check_manifests(topology)]
    assert told == [f"t.yaml:8: NetworkPolicy default/deny-all: {it}" for it in warnings]
