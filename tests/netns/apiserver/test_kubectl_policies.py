"""NetworkPolicies as a user of kubectl meets them: made, shown, told, explained, refused."""

from __future__ import annotations

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from:
    - podSelector: {matchLabels: {role: front}}
      namespaceSelector: {}
    - ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}
    ports:
    - {protocol: TCP, port: 80}
    - {protocol: TCP, port: 8000, endPort: 8080}
  egress:
  - {}
"""


async def test_a_policy_is_applied_shown_and_told(kubectl):
    named = "networkpolicy.networking.k8s.io/web"
    assert await kubectl("apply", "-f", "-", stdin=POLICY) == f"{named} created\n"
    assert await kubectl("apply", "-f", "-", stdin=POLICY) == f"{named} unchanged\n"
    rows = [line.split()[:2] for line in (await kubectl("get", "netpol")).splitlines()]
    assert rows == [["NAME", "POD-SELECTOR"], ["web", "app=web"]]
    told = await kubectl("describe", "netpol", "web")
    for words in ("PodSelector:     app=web", "To Port: 80/TCP", "CIDR: 10.0.0.0/8", "Except: 10.1.0.0/16"):
        assert words in told, told
    assert "Policy Types: Ingress, Egress" in told


async def test_a_policy_is_explained_by_its_fields(kubectl):
    assert "endPort" in await kubectl("explain", "networkpolicy.spec.ingress.ports")


async def test_a_wrong_policy_is_refused_by_its_field(kubectl):
    wrong = POLICY.replace("port: 80}", "port: dns, endPort: 80}")
    answer = await kubectl.attempt("apply", "-f", "-", stdin=wrong)
    assert answer.code == 1
    assert "spec.ingress[0].ports[0].endPort: Invalid value: 80: may not be specified" in answer.err


async def test_a_changed_policy_is_patched_and_has_a_new_generation(kubectl):
    await kubectl("create", "-f", "-", stdin=POLICY)
    await kubectl("patch", "netpol", "web", "-p", '{"spec": {"policyTypes": ["Ingress"]}}')
    found = await kubectl.json("get", "netpol", "web")
    assert (found["metadata"]["generation"], found["spec"]["policyTypes"]) == (2, ["Ingress"])
    await kubectl("delete", "netpol", "web")
