"""Tests of `order.bpmn` as its author would write them: `pytest examples/tests --flowledger-coverage=report`."""

from typing import Any

import pytest

from flowledger.sdk.testing import BpmnError, Engine, JobFailed, assert_that


@pytest.fixture
def shop(engine: Engine) -> Engine:
    """The process with workers that always succeed; a test replaces those that it is about."""
    engine.deploy("../order.bpmn")
    engine.on_job("order.check", {"checked": True})
    engine.on_job("order.remind")
    engine.on_job("order.refuse")
    engine.on_job("stock.reserve", {"reservation": "R-1"})
    engine.on_job("payment.charge", lambda amount, order_id: {"payment": {"order": order_id, "amount": amount}})
    engine.on_job("payment.refund")
    engine.on_job("order.ship", {"tracking": "T-1"})
    return engine


def order(amount: float) -> dict[str, Any]:
    return {"order_id": "7", "customer": "ann", "amount": amount, "items": [{"sku": "cup", "quantity": 2}]}


def test_a_small_order_ships_without_a_person(shop: Engine) -> None:
    run = shop.start("order", order(50.25))
    assert_that(run).is_completed().has_taken("small").has_not_entered("approve", "refund")
    assert_that(run).has_passed_in_order("check", "fulfil", "ship", "shipped")
    assert_that(run).has_variables(tracking="T-1", reservation="R-1", payment={"order": "7", "amount": 50.25})


@pytest.mark.parametrize(("amount", "flow"), [(1000, "small"), (1000.01, "large")])
def test_the_limit_of_a_large_order(shop: Engine, amount: float, flow: str) -> None:
    assert_that(shop.start("order", order(amount))).has_taken(flow)


def test_a_large_order_is_approved_by_sales(shop: Engine) -> None:
    run = shop.start("order", order(2000))
    task = run.task("approve")
    assert task.candidate_groups == ["sales"] and task.priority == 60
    task.claim("eve").complete({"approved": True}, by="eve")
    assert_that(run).is_completed().has_passed("approve", "approved", "shipped")


def test_a_refused_approval_ends_the_order(shop: Engine) -> None:
    run = shop.start("order", order(2000))
    run.task("approve").complete({"approved": False})
    assert_that(run).is_completed().has_taken("no").has_passed("refuse", "refused").has_not_entered("fulfil")


def test_sales_is_reminded_after_four_hours_and_goes_on_waiting(shop: Engine) -> None:
    run = shop.start("order", order(2000))
    shop.advance("PT3H59M")
    assert_that(run).has_not_entered("remind")
    shop.advance("PT1M")
    assert_that(run).has_passed("late", "remind", "reminded").is_waiting_only_at("approve")


def test_an_order_that_cannot_be_taken_is_refused(shop: Engine) -> None:
    shop.on_job("order.check", BpmnError("INVALID_ORDER", "no items"))
    assert_that(shop.start("order", order(1))).is_completed().has_withdrawn("check").has_passed("invalid", "refuse")


def test_out_of_stock_gives_the_money_back(shop: Engine) -> None:
    shop.on_job("stock.reserve", BpmnError("OUT_OF_STOCK"))
    refund = shop.on_job("payment.refund")
    run = shop.start("order", order(50))
    assert_that(run).is_completed().has_passed_in_order("out_of_stock", "refund", "cancelled").has_not_entered("ship")
    assert_that(refund).was_called(1).was_called_with(order_id="7")


def test_payment_that_does_not_come_back_is_given_up_after_two_days(shop: Engine) -> None:
    shop.on_job("payment.charge", JobFailed("bank is closed", retries=9, backoff_s=36 * 3600))
    run = shop.start("order", order(50))
    shop.advance("P1D")
    assert_that(run).is_waiting_only_at("charge", "join")
    shop.advance("P1D")
    assert_that(run).is_completed().has_withdrawn("charge").has_passed("stuck", "refund", "cancelled")


def test_a_bank_that_fails_three_times_raises_an_incident(shop: Engine) -> None:
    charge = shop.on_job("payment.charge", [JobFailed("busy"), JobFailed("busy"), JobFailed("broken"), {"payment": "P-1"}])
    run = shop.start("order", order(50))
    shop.advance("PT1H")
    assert_that(run).has_incident(element="charge", message="broken").is_waiting_at("charge")
    run.resolve()
    assert_that(run).has_no_incident().is_completed().has_variables(payment="P-1")
    assert_that(charge).was_called(4)
