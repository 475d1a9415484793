"""A packet's way through the policies of one endpoint, tier by tier and rule by rule.

In each tier that has a policy for the endpoint and the direction, rules are read in order until one decides:
Allow and Deny end all, Pass goes on to the next tier, Log goes on to the next rule. A tier of which no rule
matched drops the packet, or passes it on where its defaultAction is Pass. Behind all tiers the profiles
decide, and behind them nothing is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from calico.policy.labels import Labels
from calico.policy.members import GROUP, Members
from calico.policy.policies import NORMAL, Policy, Tier
from calico.policy.reading import rules
from calico.policy.rules import ALLOW, DENY, LOG, PASS, Packet, Rule
from fabric.plugin.policies import Decision, Direction, World
from fabric.plugin.policy_reading import Value

DEFAULT_ALLOW = "projectcalico-default-allow"


@dataclass(frozen=True, slots=True)
class Profile:
    """Rules that decide where no policy did."""

    name: str
    ingress: tuple[Rule, ...] = (Rule(0, ALLOW, '{"action":"Allow"}'),)
    egress: tuple[Rule, ...] = (Rule(0, ALLOW, '{"action":"Allow"}'),)
    labels: Labels = field(default_factory=dict)

    def rules(self, direction: Direction) -> tuple[Rule, ...]:
        return self.ingress if direction == "ingress" else self.egress


def profiles(world: World) -> dict[str, Profile]:
    """The profiles of a world by name; those of namespaces allow everything, and need no object."""
    found = {DEFAULT_ALLOW: Profile(DEFAULT_ALLOW)}
    for obj in world.of_kind("Profile", GROUP):
        whole = Value.of(obj)
        name, spec = (
            whole["metadata"]["name"].text(),
            whole["spec"].only("ingress", "egress", "labelsToApply"),
        )
        found[name] = Profile(
            name, rules(spec["ingress"]), rules(spec["egress"]), spec["labelsToApply"].labels()
        )
    return found | {f"kns.{name}": Profile(f"kns.{name}") for name in world.namespaces}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place where policies are asked: an endpoint in one direction, at one stage of the packet's way."""

    at: str
    labels: Labels
    direction: Direction
    stage: str = NORMAL
    is_forward: bool = False
    """True for what a host forwards: only policies with applyOnForward count, and no profile."""
    profiles: Sequence[Profile] | None = None
    """None where nothing is dropped behind the last tier."""
    drops: bool = True
    """False where a tier without a match lets the packet go on: before connection tracking and DNAT."""

    def governed_by(self, policy: Policy) -> bool:
        return (
            policy.stage == self.stage
            and self.direction in policy.types
            and (policy.is_forward or not self.is_forward)
            and policy.applies(self.labels)
        )


class Reader:
    """The reader of a world's tiers for packets."""

    def __init__(self, tiers: Sequence[Tier], members: Members) -> None:
        self._tiers = tiers
        self._members = members

    def governs(self, checkpoint: Checkpoint) -> bool:
        """Whether any policy applies there."""
        return any(checkpoint.governed_by(policy) for tier in self._tiers for policy in tier.policies)

    def decide(self, checkpoint: Checkpoint, packet: Packet) -> tuple[Decision, bool]:
        """The decision there, and whether the packet was accepted: it may also go on undecided."""
        walk = _Walk(checkpoint, packet, self._members)
        for tier in self._tiers:
            policies = [it for it in tier.policies if checkpoint.governed_by(it)]
            if policies and (found := walk.through(tier, policies)) is not None:
                return found, found.allowed
        return walk.behind_tiers()


class _Walk:
    """A packet at one checkpoint: what was read of it so far."""

    def __init__(self, checkpoint: Checkpoint, packet: Packet, members: Members) -> None:
        self._checkpoint = checkpoint
        self._packet = packet
        self._members = members
        self._read: list[str] = []
        self._notes: list[str] = []

    def through(self, tier: Tier, policies: Sequence[Policy]) -> Decision | None:
        """The decision of a tier; None where the packet passes it."""
        self._read += (it.reference for it in policies)
        for policy in policies:
            for rule in self._matching(policy.reference, policy.rules):
                place = self._place(policy.reference, rule)
                if rule.action == PASS:
                    self._notes.append(f"{place} passes it on from tier {tier.name}")
                    return None
                verb = "allows" if rule.action == ALLOW else "denies"
                return self._decision(
                    rule.action == ALLOW, f"{place} {verb} it", policy.reference, rule, tier.name
                )
        if tier.drops and self._checkpoint.drops:
            names = ", ".join(it.reference for it in policies)
            apply = "applies" if len(policies) == 1 else "apply"
            why = f"{names} {apply}, no rule matches, and the end of tier {tier.name} denies the rest"
            return self._decision(False, why)
        return None

    def behind_tiers(self) -> tuple[Decision, bool]:
        given = self._checkpoint.profiles
        if given is None:
            return self._decision(True, "no policy denies it"), False
        for profile in given:
            name = f"Profile {profile.name}"
            for rule in self._matching(name, profile.rules):
                allows = rule.action == ALLOW
                told = "every tier passed it on" if self._read else f"no policy applies for {self._direction}"
                why = f"{told}, and profile {profile.name} {'allows' if allows else 'denies'} it"
                return self._decision(allows, why, "", None), allows
        told = "every tier passed it on" if self._read else f"no policy applies for {self._direction}"
        return self._decision(False, f"{told}, and no profile allows it"), False

    def _matching(self, owner: str, of: Callable[[Direction], tuple[Rule, ...]]) -> Iterator[Rule]:
        """The rules that match and decide; what others were and why they did not is noted."""
        for rule in of(self._direction):
            place = self._place(owner, rule)
            if miss := rule.mismatch(self._packet, self._members):
                self._notes.append(f"{place}: {miss}")
            elif rule.action == LOG:
                self._notes.append(f"{place} logs it")
            elif rule.action in (ALLOW, DENY, PASS):
                yield rule

    def _decision(
        self, allowed: bool, why: str, policy: str = "", rule: Rule | None = None, tier: str = ""
    ) -> Decision:
        notes = self._notes if not allowed else [it for it in self._notes if ": " not in it]
        return Decision(
            self._direction,
            self._checkpoint.at,
            allowed,
            why + (f" (tier {tier})" if tier else ""),
            policy,
            rule.index if rule else None,
            rule.text if rule else "",
            tuple(self._read),
            tuple(notes),
        )

    @property
    def _direction(self) -> Direction:
        return self._checkpoint.direction

    def _place(self, owner: str, rule: Rule) -> str:
        return f"{owner} spec.{self._direction}[{rule.index}]"
