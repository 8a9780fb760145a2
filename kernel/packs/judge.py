"""What a rule says of what it sees: it holds, is violated, or can't be evaluated. Pure; a broken rule stops nothing but itself.

All rules of one look have steps of their own, so that none takes those of the model's expressions, and each has its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from flowledger.events.base import Heavy, Rejected, RejectionCode
from flowledger.events.rules import RuleJudged
from flowledger.kernel import values
from flowledger.kernel.expressions import Expression, Failure
from flowledger.kernel.ledger.facts import NotAtHand
from flowledger.kernel.model.rules_resource import REFUSE, Pack, Rule

HELD, VIOLATED, BROKEN = "held", "violated", "broken"
#: steps of FEEL that one rule may take, and all that are looked at together
RULE_STEPS_MAX, LOOK_STEPS_MAX = 20_000, 200_000
WHY_MAX = 200


class InForce(NamedTuple):
    """A pack and which version of it: its number, and the key of its definition (0: it is deployed just now)."""

    pack: Pack
    version: int = 0
    definition: int = 0


class Verdict(NamedTuple):
    by: InForce
    rule: Rule
    outcome: str
    why: str = ""
    element: str = ""

    @property
    def refuses(self) -> bool:
        if self.outcome == BROKEN:
            return self.rule.on_error == REFUSE
        return self.outcome == VIOLATED and self.rule.severity == "refuse"

    @property
    def text(self) -> str:
        """For people, in one sentence."""
        which = f"rule '{self.rule.id}' of rule pack '{self.by.pack.name}'" + (f" version {self.by.version}" if self.by.version else "")
        if self.outcome == BROKEN:
            follows = "refuses what it can't judge" if self.refuses else "lets pass what it can't judge"
            return f"{which} can't be evaluated ({self.why}), and {follows}"
        return f"{self.rule.message} ({which})"

    def event(self, at: str, key: int = 0, process: str = "", task: int = 0) -> RuleJudged:
        return RuleJudged(
            key=key, pack=self.by.pack.name, version=self.by.version, definition=self.by.definition, rule=self.rule.id, severity=self.rule.severity,
            outcome=self.outcome, at=at, refused=self.refuses, process=process, task=task, element=self.element, message=self.rule.message,
            why=self.why,
        )  # fmt: skip


class Refused(Rejected, frozen=True):
    """By a rule. `verdicts`: what the log is told beside the refusal (`kernel/operations.py`)."""

    verdicts: tuple[RuleJudged, ...] = ()

    def plain(self) -> Rejected:
        """As its caller is told."""
        return Rejected(self.code, self.message)


def refusal(found: list[Verdict], told: Iterable[RuleJudged]) -> Refused | None:
    """The first that refuses speaks; how many others do is said, too."""
    refusing = [v for v in found if v.refuses]
    if not refusing:
        return None
    more = f"; so do {len(refusing) - 1} more" if len(refusing) > 1 else ""
    return Refused(RejectionCode.FORBIDDEN, values.clean(f"{refusing[0].text}{more}"), verdicts=tuple(told))


class Look:
    """Several rules that are looked at together, with the steps that they may still take."""

    __slots__ = ("facts", "left")

    def __init__(self, facts: Any) -> None:
        self.facts, self.left = facts, LOOK_STEPS_MAX

    def verdict(self, by: InForce, rule: Rule, sees: Mapping[str, Any], element: str = "") -> Verdict | None:
        """None: it isn't for this, by its `when`. Raises: Heavy, NotAtHand."""
        try:
            if rule.when is not None and self._truth(rule.when, sees, "when") is False:
                return None
            assert rule.holds is not None, "a pack with errors is never deployed"
            return Verdict(by, rule, HELD if self._truth(rule.holds, sees, "holds") else VIOLATED, "", element)
        except (Heavy, NotAtHand):
            raise
        except Failure as failure:
            return Verdict(by, rule, BROKEN, values.clean(failure.message, WHY_MAX), element)
        except Exception as defect:  # noqa: BLE001 - whatever is wrong with a rule is wrong with it alone
            return Verdict(by, rule, BROKEN, type(defect).__name__, element)

    def _truth(self, e: Expression, sees: Mapping[str, Any], name: str) -> bool:
        """Raises: Failure, when it is neither true nor false, which never says what it is: that may be somebody's data."""
        facts = self.facts
        before, soft = facts.feel_left, facts.feel_soft > 0
        facts.feel_left = given = min(RULE_STEPS_MAX, self.left, before if soft else RULE_STEPS_MAX)
        try:
            value = e(dict(sees), facts)
        except Failure as failure:
            if failure.code == "EXPRESSION_LIMIT":
                raise Failure(failure.code, f"{name} takes more than the {given} steps that it may") from None
            raise
        finally:
            taken = given - max(0, facts.feel_left)
            self.left -= taken
            facts.feel_left = before - taken if soft else before
        if not isinstance(value, bool):
            found = (
                "null"
                if value is None
                else "a text"
                if isinstance(value, str)
                else "a list"
                if isinstance(value, list)
                else "another value"
            )
            raise Failure("RULE_NOT_BOOLEAN", f"{name}: expected true or false, found {found}")
        return value


def told(by: InForce, verdict: Verdict | None) -> bool:
    """Whether it is to be told: where its pack wants it, also that it holds."""
    return verdict is not None and (verdict.outcome != HELD or by.pack.tell_all)


def of_model(look: Look, packs: Iterable[InForce], process: Mapping[str, Any], retention: list[dict[str, str]]) -> Iterator[Verdict]:
    """`process`: as `contexts.model` has it. A rule that names elements or kinds is looked at for each of these."""
    for by in packs:
        for rule in by.pack.rules:
            if rule.on != "model" or not rule.about(process["id"], process["tags"]):
                continue
            narrow = rule.applies.narrow or rule.within.narrow
            elements = [e for e in process["elements"] if rule.about_element(e["id"], e["kind"])] if narrow else [None]
            for element in elements:
                found = look.verdict(
                    by, rule, {"process": process, "element": element, "retention": retention}, element["id"] if element else ""
                )
                if found is not None and told(by, found):
                    yield found


def of_instance(look: Look, packs: Iterable[InForce], sees: Mapping[str, Any], at: str = "start") -> Iterator[Verdict]:
    process = sees["process"]
    for by in packs:
        for rule in by.pack.rules:
            if rule.on == "instance" and at in rule.at and rule.about(process["id"], process["tags"]):
                found = look.verdict(by, rule, sees)
                if found is not None and told(by, found):
                    yield found


def rules_of_task(
    packs: Iterable[InForce], process: Mapping[str, Any], element: str, kinds: Iterable[str], at: str
) -> list[tuple[InForce, Rule]]:
    return [
        (by, rule) for by in packs for rule in by.pack.rules
        if rule.on == "task" and at in rule.at and rule.about(process["id"], process["tags"]) and any(rule.about_element(element, k) for k in kinds)
    ]  # fmt: skip


def of_task(look: Look, rules: Iterable[tuple[InForce, Rule]], sees: Mapping[str, Any]) -> Iterator[Verdict]:
    for by, rule in rules:
        found = look.verdict(by, rule, sees, sees["task"]["element"])
        if found is not None and told(by, found):
            yield found
