"""The rules of Kubernetes 1.34 for what a component reads of a pod, by path and words of the refusal."""

from __future__ import annotations

import pytest
from support.registry import pod

from fabric.api.kinds import POD
from fabric.apiserver.options import WriteOptions
from fabric.errors import Invalid

STRICT = WriteOptions(field_validation="Strict")
A_QUALIFIED_NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


async def faults_of(registry, body):
    with pytest.raises(Invalid) as caught:
        await registry.create(POD, "default", body, STRICT)
    return {cause["field"]: cause["message"] for cause in caught.value.details["causes"]}


def node_affinity(*expressions, field="matchExpressions"):
    term = {field: list(expressions)}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    return {"affinity": {"nodeAffinity": required}}


def expression(operator, *values, key="zone"):
    return {"key": key, "operator": operator, "values": list(values)}


_TERMS = "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
_ONE_TERM = f"{_TERMS}[0].matchExpressions[0]"


def pod_affinity(**term):
    term = {"topologyKey": "zone", **term}
    return {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


_POD_TERM = "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"


def spread(**more):
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    return {"topologySpreadConstraints": [{**constraint, **more}]}


def toleration(**fields):
    return {"tolerations": [fields]}


def volume(**source):
    return {"volumes": [{"name": "data", **source}]}


SPECS = [
    (node_affinity(expression("Gt")), f"{_ONE_TERM}.values", "must be specified single value when"),
    (node_affinity(expression("Lt", "1", "2")), f"{_ONE_TERM}.values", "must be specified single value"),
    (node_affinity(expression("Gt", "x")), f"{_ONE_TERM}.values[0]", "must be an integer"),
    (node_affinity(expression("In")), f"{_ONE_TERM}.values", "must be specified when `operator` is 'In'"),
    (node_affinity(expression("Exists", "a")), f"{_ONE_TERM}.values", "may not be specified when"),
    (node_affinity(expression("Near", "a")), f"{_ONE_TERM}.operator", "not a valid selector operator"),
    (node_affinity(expression("In", "a", key="a b")), f"{_ONE_TERM}.key", A_QUALIFIED_NAME),
    (
        node_affinity(expression("Exists", key="metadata.name"), field="matchFields"),
        f"{_TERMS}[0].matchFields[0].operator",
        "not a valid selector operator",
    ),
    (
        node_affinity(expression("In", "n", key="spec.name"), field="matchFields"),
        f"{_TERMS}[0].matchFields[0].key",
        "not a valid field selector key",
    ),
    (
        {
            "affinity": {
                "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}
            }
        },
        _TERMS,
        "must have at least one node selector term",
    ),
    (pod_affinity(topologyKey=""), f"{_POD_TERM}.topologyKey", "can not be empty"),
    (pod_affinity(topologyKey="a b"), f"{_POD_TERM}.topologyKey", A_QUALIFIED_NAME),
    (
        pod_affinity(labelSelector={"matchExpressions": [expression("Gt", "1")]}),
        f"{_POD_TERM}.labelSelector.matchExpressions[0].operator",
        "not a valid selector operator",
    ),
    (pod_affinity(namespaces=["A"]), f"{_POD_TERM}.namespace", "a lowercase RFC 1123 label"),
    (
        {
            "affinity": {
                "podAffinity": {
                    "preferredDuringSchedulingIgnoredDuringExecution": [
                        {"weight": 101, "podAffinityTerm": {"topologyKey": "zone"}}
                    ]
                }
            }
        },
        "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight",
        "must be in the range 1-100",
    ),
    (toleration(operator="Equal"), "tolerations[0].operator", "operator must be Exists when `key` is empty"),
    (toleration(key="a", operator="Exists", value="b"), "tolerations[0].operator", "value must be empty"),
    (toleration(key="a", operator="Like"), "tolerations[0].operator", 'supported values: "Equal", "Exists"'),
    (toleration(key="a", effect="Never"), "tolerations[0].effect", '"NoExecute", "NoSchedule"'),
    (toleration(key="a", tolerationSeconds=1), "tolerations[0].effect", "effect must be 'NoExecute'"),
    (spread(maxSkew=0), "topologySpreadConstraints[0].maxSkew", "must be greater than 0"),
    (spread(topologyKey=""), "topologySpreadConstraints[0].topologyKey", "can not be empty"),
    (
        spread(whenUnsatisfiable="Maybe"),
        "topologySpreadConstraints[0].whenUnsatisfiable",
        "Unsupported value",
    ),
    (spread(minDomains=0), "topologySpreadConstraints[0].minDomains", "must be greater than 0"),
    (spread(nodeTaintsPolicy="x"), "topologySpreadConstraints[0].nodeTaintsPolicy", '"Honor", "Ignore"'),
    (
        spread(matchLabelKeys=["app"]),
        "topologySpreadConstraints[0].matchLabelKeys",
        "labelSelector is not set",
    ),
    (
        {"dnsConfig": {"options": [{"value": "1"}]}},
        "dnsConfig.options[0]",
        "Required value: must not be empty",
    ),
    ({"dnsConfig": {"nameservers": ["dns"]}}, "dnsConfig.nameservers[0]", "must be a valid IP address"),
    ({"dnsConfig": {"nameservers": ["1.1.1.1"] * 4}}, "dnsConfig.nameservers", "more than 3 nameservers"),
    ({"dnsConfig": {"searches": ["a b"]}}, "dnsConfig.searches[0]", "a lowercase RFC 1123 subdomain"),
    ({"dnsConfig": {"searches": ["a"] * 33}}, "dnsConfig.searches", "more than 32 search paths"),
    ({"dnsPolicy": "None"}, "dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None"),
    ({"dnsPolicy": "None", "dnsConfig": {}}, "dnsConfig.nameservers", "at least one DNS nameserver"),
    ({"hostname": "a.b"}, "hostname", "a lowercase RFC 1123 label"),
    ({"subdomain": "s" * 64}, "subdomain", "must be no more than 63 bytes"),
    ({"hostAliases": [{"ip": "localhost", "hostnames": ["a"]}]}, "hostAliases[0].ip", "valid IP address"),
    ({"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["a b"]}]}, "hostAliases[0].hostnames[0]", "RFC 1123"),
    ({"nodeSelector": {"a": "v" * 64}}, "nodeSelector", "must be no more than 63 bytes"),
    ({"schedulingGates": [{"name": "a"}, {"name": "a"}]}, "schedulingGates[1]", "Duplicate value"),
    ({"readinessGates": [{"conditionType": "a b"}]}, "readinessGates[0].conditionType", A_QUALIFIED_NAME),
    ({"securityContext": {"runAsUser": -1}}, "securityContext.runAsUser", "between 0 and 2147483647"),
    ({"securityContext": {"supplementalGroups": [-1]}}, "securityContext.supplementalGroups[0]", "between 0"),
    (
        {"securityContext": {"sysctls": [{"name": "a b", "value": ""}]}},
        "securityContext.sysctls[0].name",
        "253",
    ),
    (
        {"securityContext": {"seccompProfile": {"type": "Localhost"}}},
        "securityContext.seccompProfile.localhostProfile",
        "must be set when seccomp type is Localhost",
    ),
    ({"shareProcessNamespace": True, "hostPID": True}, "shareProcessNamespace", "cannot both be enabled"),
    (
        volume(emptyDir={}, hostPath={"path": "/"}),
        "volumes[0].hostPath",
        "may not specify more than 1 volume",
    ),
    (volume(emptyDir={"sizeLimit": "-1"}), "volumes[0].emptyDir.sizeLimit", "greater than or equal to 0"),
    (volume(hostPath={"path": ""}), "volumes[0].hostPath.path", "Required value"),
    (volume(hostPath={"path": "/a/../b"}), "volumes[0].hostPath.path", "must not contain '..'"),
    (volume(hostPath={"path": "/a", "type": "Fifo"}), "volumes[0].hostPath.type", "Unsupported value"),
    (volume(secret={}), "volumes[0].secret.secretName", "Required value"),
    (volume(configMap={"name": "a", "defaultMode": 512}), "volumes[0].configMap.defaultMode", "0777 (octal)"),
    (
        volume(configMap={"name": "a", "items": [{"key": "k", "path": "../x"}]}),
        "volumes[0].configMap.items[0].path",
        "must not contain '..'",
    ),
    (
        volume(secret={"secretName": "a", "items": [{"key": "k", "path": "/x"}]}),
        "volumes[0].secret.items[0].path",
        "must be a relative path",
    ),
    (
        volume(downwardAPI={"items": [{"path": "x"}]}),
        "volumes[0].downwardAPI.items[0]",
        "one of fieldRef and",
    ),
    (
        volume(downwardAPI={"items": [{"path": "x", "fieldRef": {"fieldPath": "status.podIP"}}]}),
        "volumes[0].downwardAPI.items[0].fieldRef.fieldPath",
        "Unsupported value",
    ),
    (volume(projected={"sources": [{}]}), "volumes[0].projected.sources[0]", "must specify one of"),
    (
        volume(projected={"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 1}}]}),
        "volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds",
        "less than 10 minutes",
    ),
    ({"priorityClassName": "A"}, "priorityClassName", "RFC 1123 subdomain"),
    (
        {"ephemeralContainers": [{"name": "e", "image": "x"}]},
        "ephemeralContainers",
        "cannot be set on create",
    ),
    ({"overhead": {"cpu": "-1"}}, "overhead[cpu]", "greater than or equal to 0"),
]


@pytest.mark.parametrize(("spec", "field", "words"), SPECS, ids=[field for _, field, _ in SPECS])
async def test_a_spec_is_refused_with_the_rule_that_it_breaks(registry, spec, field, words):
    found = await faults_of(registry, pod(**spec))
    assert list(found) == [f"spec.{field}"]
    assert words in found[f"spec.{field}"]


@pytest.mark.parametrize(
    "spec",
    [
        node_affinity(expression("Gt", "5")),
        toleration(operator="Exists"),
        {"dnsConfig": {"searches": [".", "_tcp.example.com."], "options": [{"name": "ndots"}]}},
        {"securityContext": {"runAsUser": 0, "sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]}},
        volume(projected={"sources": [{"configMap": {"name": "a"}}, {"secret": {"name": "b"}}]}),
    ],
)
async def test_what_kubernetes_accepts_is_accepted(registry, spec):
    assert await registry.create(POD, "default", pod(**spec), STRICT)
