"""`--energy-ab`: tests are compared with a git ref, whose processes and this one's take turns."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.integration.ab_projects import HERE, ab_files, compared_project, git, repository
from tests.integration.projects import Project, Ran

#: What both sides have in common.
TESTS = """
import asyncio
import unittest

import pytest

import mypkg


def test_same(energy, work):
    energy(work)


def test_more(energy, work):
    energy(work, "more")


def test_less(energy, work):
    energy(work, "less")


def test_noisy(energy, work):
    energy(work, "noisy")


def test_fails_there(energy, work):
    assert not mypkg.REF, "not yet"
    energy(work)


def test_skipped_there(energy, work):
    if mypkg.REF:
        pytest.skip("too old")
    energy(work)


@pytest.fixture
def broken():
    if mypkg.REF:
        raise OSError("no such server")


def test_fixture_fails_there(energy, work, broken):
    energy(work)


def test_dies_there(energy, work):
    if mypkg.REF:
        import os
        os._exit(3)
    energy(work)


@pytest.mark.parametrize("name", {parameters})
def test_parameters(energy, work, name):
    energy(work, name)


def test_two_windows(energy, work):
    for _ in energy.rounds():
        with energy.measure("load"):
            work("same")
        with energy.measure("step"):
            work("more")


def test_two_loops(energy, work):
    energy.named("first")(work, "same")
    energy.named("second")(work, "more")


def test_pedantic(energy, work):
    made = []
    def setup():
        made.append("more")
        return made[-1:], {{}}
    energy.pedantic(work, setup=setup, rounds=3, warmup_rounds=1, iterations=1)
    assert made


@pytest.mark.energy_budget("9 J")
def test_whole(work):
    work("more")


@pytest.mark.energy_budget("9 J", max_rounds=1)
def test_once(work):
    work("more")


def test_units(energy, work):
    energy.units(word=10)
    energy(work, "more")
    assert energy.results["call"].per_unit["word"] == pytest.approx(0.26 - 0.06 * mypkg.REF, rel=0.2)


class TestCase(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def given(self, energy, work):
        self.energy, self.work = energy, work

    def test_method(self):
        self.energy(self.work, "more")

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


class Everything:
    pass


def test_everything(project: Project) -> None:
    compared_project(project, ON_MAIN, TESTS_HERE)
    ran = project.energy(AB, "tests", "--durations=20")
    for name, r in ran.results.items():
        print(name, r.verdict.outcome, r.verdict.cause, r.verdict.interleaved)
    assert 0
