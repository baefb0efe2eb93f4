"""`--energy-ab`: tests are compared with a git ref, whose processes and this one's take turns."""

from __future__ import annotations

from tests.integration.ab_projects import compared_project
from tests.integration.projects import Project

#: What both sides have in common.
TESTS = """
import os
import unittest

import pytest

import mypkg

#: One call in a window, and as many windows as there are to be: that takes no time.
ONE = {{"iterations": 1, "warmup_rounds": 1}}


def test_same(energy, work):
    energy.pedantic(work, **ONE)


def test_more(energy, work):
    energy.pedantic(work, ("more",), **ONE)


def test_less(energy, work):
    energy.pedantic(work, ("less",), **ONE)


def test_noisy(energy, work):
    energy.pedantic(work, ("noisy",), **ONE)


def test_fails_there(energy, work):
    assert not mypkg.REF, "not yet"
    energy(work)


def test_is_skipped_there(energy, work):
    if mypkg.REF:
        pytest.skip("too old")
    energy(work)


@pytest.fixture
def server():
    if mypkg.REF:
        raise OSError("no such server")


def test_set_up_fails_there(energy, work, server):
    energy(work)


def test_dies_there(energy, work):
    if mypkg.REF:
        os._exit(3)
    energy(work)


def test_measures_less_there(energy, work):
    energy.named("first").pedantic(work, **ONE)
    if not mypkg.REF:
        energy.named("second").pedantic(work, **ONE)


@pytest.mark.parametrize("name", {parameters})
def test_parameters(energy, work, name):
    energy.pedantic(work, **ONE)


def test_two_windows(energy, work):
    for _ in energy.rounds():
        with energy.measure("load"):
            work()
        with energy.measure("step"):
            work()


def test_two_loops(energy, work):
    energy.named("first").pedantic(work, **ONE)
    energy.named("second").pedantic(work, **ONE)


def test_set_up(energy, work):
    made = []

    def make():
        made.append("same")
        return made[-1:], {{}}

    energy.pedantic(work, setup=make, rounds=3, **ONE)
    assert made


@pytest.mark.energy_budget("9 J", max_rounds=1)
def test_whole(work):
    work()


def test_units(energy, work):
    energy.units(word=10)
    energy.pedantic(work, **ONE)
    assert energy.results["call"].per_unit["word"] == pytest.approx(0.2, rel=0.1)


class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, energy, work):
        self.energy, self.work = energy, work

    def test_method(self):
        self.energy.pedantic(self.work, **ONE)


{more}
"""
ON_MAIN = TESTS.format(parameters='["same"]', more="def test_was_plain(): pass")
HERE_ONLY = """
def test_was_plain(energy, work):
    energy(work)


def test_new(energy, work):
    energy(work)
"""
TESTS_HERE = TESTS.format(parameters='["same", "more"]', more=HERE_ONLY)
AB = "--energy-ab=main"


def test_each_kind_of_test(project: Project) -> None:
    """Every measurement of every kind of test is compared, or it is said why it cannot be."""
    compared_project(project, ON_MAIN, TESTS_HERE)
    ran = project.energy(AB, "tests")
    causes = {name: r.verdict.cause for name, r in ran.results.items()}
    outcomes = dict(ran.verdicts)
    assert {name: outcomes.pop(name) for name in ("test_more", "test_less", "test_noisy")} == {
        "test_more": "regressed",
        "test_less": "improved",
        "test_noisy": "inconclusive",
    }
    passed = {
        *("test_same", "test_parameters[same]", "test_two_windows/load", "test_two_windows/step"),
        *("test_two_loops/first", "test_two_loops/second", "test_set_up", "test_whole"),
        *("test_units", "TestCase.test_method"),
    }
    assert {name for name, outcome in outcomes.items() if outcome == "passed"} == passed
    assert {name: outcome for name, outcome in outcomes.items() if name not in passed} == {
        "test_fails_there": "not comparable",
        "test_is_skipped_there": "not comparable",
        "test_set_up_fails_there": "not comparable",
        "test_dies_there": "not comparable",
        "test_measures_less_there/first": "not comparable",
        "test_measures_less_there/second": "not comparable",
        "test_parameters[more]": "no baseline",
        "test_was_plain": "no baseline",
        "test_new": "no baseline",
    }
    print(causes)
