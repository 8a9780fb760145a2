"""Cases that were planted among drawn ones are found, and few others are told: paths, skipped elements and values; precision, recall and false alarms."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from flowledger.analytics.odd import BEFORE_MAX, BEFORE_MIN, RARE, Case, judge

USUAL = ("start", "check", "approve", "pack", "bill", "end")
PLANTS = ("path", "skipped", "high", "low", "text", "negative")


def drawn(seed: int, cases: int, share: float = 0.0, since: int = 500, version: int = 1) -> tuple[list[Case], dict[int, str]]:
    """A process with a loop, a choice and two branches side by side; amounts spread as products are, a wait without memory, a weight, a score, a region."""
    rng = random.Random(seed)
    out, planted = [], {}
    for n in range(cases):
        path = ["start", "check"]
        while rng.random() < 0.15:
            path += ["mend", "check"]
        path += ["approve"] if rng.random() < 0.8 else ["approve", "manager"]
        sides = ["pack", "bill", "print"]
        rng.shuffle(sides)
        path += [*sides, "end"]
        values = {
            "amount": rng.lognormvariate(4, 1), "wait": rng.expovariate(1 / 300), "weight": rng.gauss(20, 3), "score": rng.random(),
            "region": rng.choices(("DE", "AT", "CH", "FR"), (60, 25, 10, 5))[0], "gift": rng.random() < 0.1, "currency": "EUR", "id": f"o-{n}",
            "balance": rng.gauss(0, 50),
        }  # fmt: skip
        if n >= since and rng.random() < share:
            planted[n] = kind = rng.choice(PLANTS)
            if kind == "path":
                path.insert(path.index("approve"), "reopen")
            elif kind == "skipped":
                path.remove("approve")
            elif kind == "high":
                values["amount"] *= 3_000
            elif kind == "low":
                values["weight"] /= 1_000
            elif kind == "text":
                values["region"] = f"X{n % 3}"
            else:
                values["amount"] *= -1
        out.append(Case(n, version, n, tuple(path), values))
    return out, planted


@pytest.mark.req("APG-AI-007")
def test_planted_cases_are_found_and_few_others():
    right: Counter[str] = Counter()
    all_of: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    judged = 0
    for seed in range(10):
        cases, planted = drawn(seed, 2_500, 0.01)
        kinds = {"path": "path", "skipped": "skipped"}
        found = {(o.key, o.kind, o.element or o.name) for o in judge(cases, 500)}
        expected = {
            (n, kinds.get(k, "value"), {"path": "reopen", "skipped": "approve", "text": "region", "low": "weight"}.get(k, "amount")): k
            for n, k in planted.items()
        }
        all_of.update(planted.values())
        right.update(k for where, k in expected.items() if where in found)
        wrong.update(kind for key, kind, where in found if (key, kind, where) not in expected)
        judged += 2_000
    recall = {k: right[k] / all_of[k] for k in PLANTS}
    precision = sum(right.values()) / (sum(right.values()) + sum(wrong.values()))
    assert all(r >= 0.9 for r in recall.values()), (recall, all_of)
    assert precision >= 0.8 and sum(wrong.values()) / judged <= 0.0025, (precision, wrong, judged)


@pytest.mark.req("APG-AI-007")
def test_without_any_planted_few_cases_are_told():
    told = Counter(o.kind for seed in range(50, 60) for o in judge(drawn(seed, 2_500)[0], 500))
    assert sum(told.values()) / 20_000 <= 0.0025, told


def test_where_each_goes_a_way_of_its_own_a_new_way_is_nothing_odd():
    rng = random.Random(3)
    cases = [Case(n, 1, n, tuple(rng.sample("abcdefgh", 8)), {"text": f"t{n}"}) for n in range(1_000)]
    assert judge(cases, 0) == []


def test_a_version_is_held_against_itself_and_what_is_often_is_not_odd_any_more():
    old, _ = drawn(1, 400)
    new = [c._replace(definition=2, path=("start", "other", "end"), us=1_000 + n) for n, c in enumerate(old)]
    assert judge([*old, *new], 1_000) == []
    odd = [o for o in judge([*old, *(c._replace(definition=1) for c in new)], 1_000) if o.kind != "value"]
    assert odd and len(odd) < 10, "the first ones are told, then it is a way as others are"
    assert judge(old[:BEFORE_MIN], 0) == [] and BEFORE_MIN / (BEFORE_MIN + 1) > RARE


def test_nothing_is_known_of_what_came_later_and_of_what_is_long_past():
    cases, _ = drawn(7, 700, 0.02)
    assert [o for o in judge(cases[:600], 500)] == [o for o in judge(cases, 500) if o.us < 600]
    many, _ = drawn(8, BEFORE_MAX + 300)
    strange = [c._replace(values={**c.values, "region": "XX"}) for c in many[:100]]
    last = many[-1]._replace(values={**many[-1].values, "region": "XX"})
    (odd,) = [o for o in judge([*strange, *many[100:-1], last], last.us) if o.name == "region"]
    assert (odd.kind, odd.before, odd.value) == ("value", BEFORE_MAX, None)


@pytest.mark.parametrize(
    ("values", "x", "told"),
    [
        ([5.0] * 400, 6.0, True), ([5.0] * 400, 5.0, False), ([5.0] * 390 + [6.0] * 10, 6.0, False), ([1.0, 2.0, 3.0, 4.0] * 100, 4.0, False),
        ([1.0, 2.0, 3.0, 4.0] * 100, 1e9, True), ([1.0, 2.0, 3.0, 4.0] * 100, -1.0, True), ([1.0, 2.0, 3.0, 4.0] * 100, 0.0, True),
        ([-2.0, -1.0, 1.0, 2.0] * 100, -50.0, True), ([-2.0, -1.0, 1.0, 2.0] * 100, -3.0, False), ([1.0, 2.0] * 99, 1e9, False),
    ],
)  # fmt: skip
def test_numbers_that_are_far_from_all_others_are_told(values, x, told):
    cases = [Case(n, 1, n, USUAL, {"x": v}) for n, v in enumerate([*values, x])]
    assert [o.name for o in judge(cases, len(values))] == (["x"] if told else [])
