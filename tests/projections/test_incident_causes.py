"""Which incidents are of one cause: texts that differ in numbers, ids and what is quoted, and nothing else."""

import pytest

from flowledger.projections.grouping import CAUSE_MAX, LOOKED_AT_MAX, cause_of, group_of


@pytest.mark.parametrize(
    ("texts", "cause"),
    [
        (["order 17 is gone", "order 99 is gone", "order -3.50 is gone", "order 1,000.5 is gone"], "order # is gone"),
        (["HTTP 503 of https://a.example/17", "HTTP 500 of https://a.example/9"], "HTTP # of https://a.example/#"),
        (["no variable 'amount'", "no variable 'order.total'", 'no variable "x y"', "no variable `q`"], "no variable '…'"),
        (
            ["key 0af76519-16cd-43dd-8448-eb211c80319c is taken", "key B7AD6B71-6920-3331-8448-EB211C80319C is taken", "key 7 is taken"],
            "key # is taken",
        ),
        (["trace 0af7651916cd43dd8448eb211c80319c", "trace deadbeef01", "trace 0x7f00aa11"], "trace #"),
        (["id 01JABCDEFGH2345MNPQRSTVWXY failed", "id 2251799813685249 failed"], "id # failed"),
        (["at 2026-11-28T19:46:47Z", "at 19:46:47", "at 2026-11-28"], "at #"),
        (["10.0.0.1:8080 refused it", "192.168.1.17:80 refused it"], "# refused it"),
        (["the worker's time ran out", "the worker's time  ran\nout"], "the worker's time ran out"),
        (["expected true or false from 'amount > 3', found null (amount is 7)"], "expected true or false from '…', found null (amount is #)"),
        (["", "   "], ""),
        (["café 5 größer als 4"], "café # größer als #"),
    ],
)  # fmt: skip
def test_a_cause_is_the_text_without_what_differs(texts, cause):
    assert {cause_of(t) for t in texts} == {cause}


@pytest.mark.parametrize(
    "pair",
    [
        ("connection refused", "connection reset"),
        ("no variable 'x'", "no function 'x'"),
        ("it's late", "it is late"),
        ("deadline", "deceased"),
    ],
)
def test_what_says_something_else_is_another_cause(pair):
    assert len({cause_of(t) for t in pair}) == 2


@pytest.mark.timeout(20)
def test_long_and_odd_texts_are_looked_at_quickly():
    for text in ("'" * 100_000, "a1" * 100_000, "1" * 100_000, "0x" * 100_000, "\"'" * 50_000, "1." * 50_000, "\0\ud800" * 5_000):
        assert len(cause_of(text)) <= CAUSE_MAX
    assert cause_of("x" * (LOOKED_AT_MAX + 5)) == "x" * CAUSE_MAX


def test_a_group_is_process_element_code_and_cause_and_no_two_run_together():
    names = [
        group_of(*x) for x in (("p", "e", "c", "m"), ("pe", "", "c", "m"), ("p", "ec", "", "m"), ("p", "e", "cm", ""), ("q", "e", "c", "m"))
    ]
    assert len({*names}) == 5 and all(len(n) == 24 for n in names)
    assert group_of("p", "e", "c", "\ud800") != names[0], "whatever text"
