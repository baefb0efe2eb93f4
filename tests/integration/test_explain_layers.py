"""`--energy-explain` through pytest, on torch modules that spend known joules."""

from __future__ import annotations

import pytest

from tests.integration.projects import Project

pytest.importorskip("torch", reason="needs torch: make test-studies")

#: Three layers of 1 J each; the one in `DOUBLED` uses 2 J.
MODEL = """
import os

import pytest
import torch


class Spends(torch.nn.Module):
    def __init__(self, spend, joules):
        super().__init__()
        self.spend, self.joules = spend, joules

    def forward(self, x):
        self.spend(self.joules)
        return x + 1


@pytest.fixture
def model(spend):
    doubled = os.environ.get("DOUBLED", "")
    joules = [2.0 if str(number) == doubled else 1.0 for number in range(3)]
    return torch.nn.Sequential(*(Spends(spend, each) for each in joules))
"""
WHOLE = (
    MODEL
    + """

def test_model(energy, model):
    energy(model, torch.zeros(2))
"""
)
WINDOWS = (
    MODEL
    + """

def test_model(energy, model):
    for _ in energy.rounds():
        with energy.measure("prefill"):
            model(torch.zeros(4))
        with energy.measure("decode"):
            model(torch.zeros(1))
            model(torch.zeros(1))
"""
)
ASYNC = (
    MODEL
    + """
import asyncio


def test_model(energy, model):
    async def call():
        return model(torch.zeros(2))

    asyncio.run(energy.acall(call))
"""
)
SETUP = (
    MODEL
    + """

def test_model(energy, model):
    made = []
    energy.pedantic(model, setup=lambda: made.append(1) or torch.zeros(len(made)))
"""
)


def test_a_doubled_layer_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure names the layer that uses twice its baseline, with both figures."""
    project.write("test_net.py", WHOLE)
    for _ in range(3):
        assert project.save("--energy-explain").code == 0
    [session, *_] = project.baseline().measurements["call"].sessions
    assert session.layers is not None
    assert session.layers.by_layer["1"] == {"cpu:0": 1.0, "dram:0": 0.0}
    monkeypatch.setenv("DOUBLED", "1")
    ran = project.energy("--energy-explain")
    assert ran.code == 1
    failure = ran.failure("test_model")
    assert "why             1, which grew most: +100 % (1.00 J -> 2.00 J)" in failure
    assert "    look at 1, which grew most: +100 % (1.00 J -> 2.00 J)" in ran.lines
    explained = ran.results["test_model"].explained
    assert explained is not None
    assert explained.additivity == pytest.approx(1.0)
    assert explained.suspect is not None
    assert (explained.suspect.name, explained.suspect.joules) == ("1", 2.0)


def test_a_baseline_without_layers(project: Project) -> None:
    """Layers have no change if the baseline was saved without the option."""
    project.write("test_net.py", WHOLE)
    project.save()
    ran = project.energy("--energy-explain")
    explained = ran.results["test_model"].explained
    assert explained is not None
    assert [layer.baseline_j for layer in explained.layers] == [None, None, None]
    assert ran.verdicts == {"test_model": "passed"}


def test_each_window_has_its_layers(project: Project) -> None:
    """A layer that is called twice in a window counts twice there."""
    project.write("test_net.py", WINDOWS)
    ran = project.energy("--energy-explain")
    calls = {
        name: {layer.name: (layer.calls, layer.joules) for layer in result.explained.layers}
        for name, result in ran.results.items()
        if result.explained is not None
    }
    assert calls == {
        "test_model/prefill": dict.fromkeys("012", (1, 1.0)),
        "test_model/decode": dict.fromkeys("012", (2, 2.0)),
    }


@pytest.mark.parametrize("test", [ASYNC, SETUP], ids=["async", "setup"])
def test_coroutines_and_set_up_are_explained(project: Project, test: str) -> None:
    """Coroutines, and calls with a set-up, are captured and replayed like plain calls."""
    project.write("test_net.py", test)
    ran = project.energy("--energy-explain")
    explained = ran.results["test_model"].explained
    assert explained is not None
    assert {layer.name for layer in explained.layers} == {"0", "1", "2"}
    assert explained.adds_up


def test_workers_explain_too(project: Project) -> None:
    """Under pytest-xdist the controller prints the layers."""
    pytest.importorskip("xdist")
    project.write("test_net.py", WHOLE)
    project.sensor('source="estimated"')
    ran = project.energy("--energy-explain", "-n2", plugins=True)
    assert "where the joules go: test_net.py::test_model" in ran.lines


def test_a_failed_replay_fails_no_test(project: Project) -> None:
    """The reason is printed instead of the layers."""
    project.write(
        "test_net.py",
        WHOLE.replace("self.spend(self.joules)", "self.spend(self.joules); x.resolve()"),
    )
    assert project.energy("--energy-explain").code == 1  # the test itself fails
    few = "CALLS.append(1); assert len(CALLS) < 25, 'enough'; self.spend(self"
    project.write("test_net.py", "CALLS = []\n" + WHOLE.replace("self.spend(self", few))
    ran = project.energy("--energy-explain", "--energy-count=off")
    assert ran.code == 0
    assert any("cannot be called again by itself" in line for line in ran.lines)


def test_replays_do_not_affect_the_next_measurement(project: Project) -> None:
    """Replays run at the end of the test, so that a module with state keeps its joules."""
    project.write(
        "test_net.py",
        """
        import torch


        class Keeps(torch.nn.Module):
            def __init__(self, spend):
                super().__init__()
                self.spend, self.calls = spend, []

            def forward(self, x):
                self.calls.append(x)
                self.spend(1.0 + 0.1 * len(self.calls))
                return x + 1


        def test_two(energy, spend):
            model = Keeps(spend)
            energy.named("first").pedantic(model, (torch.zeros(2),), rounds=3, iterations=1)
            energy.named("second").pedantic(model, (torch.zeros(2),), rounds=3, iterations=1)
            assert len(model.calls) < 12
        """,
    )
    plain_j = project.energy().results["test_two/second"].joules
    explained = project.energy("--energy-explain")
    assert explained.code == 0
    more_j = explained.results["test_two/second"].joules - plain_j
    assert more_j == pytest.approx(0.1, abs=0.01)  # the one call that was captured in between
    assert explained.results["test_two/first"].explained is not None


def test_a_failure_in_the_captured_call_names_the_option(project: Project) -> None:
    """A set-up that cannot serve the additional call fails with a line about the option."""
    project.write(
        "test_net.py",
        MODEL
        + """

def test_model(energy, model):
    batches = iter([torch.zeros(2)] * 4)
    energy.pedantic(model, setup=lambda: next(batches), rounds=3, iterations=1)
""",
    )
    assert project.energy().code == 0
    ran = project.energy("--energy-explain")
    assert ran.code == 1
    assert "the test failed in the additional call of --energy-explain" in ran.text


def test_only_the_first_of_several_sessions_has_layers(project: Project) -> None:
    """Only the process of the run explains, so that only its session has layers."""
    project.write("test_net.py", WHOLE)
    project.save("--energy-explain", "--energy-sessions=3")
    sessions = project.baseline().measurements["call"].sessions
    assert [session.layers is not None for session in sessions] == [True, False, False]


def test_work_beside_the_joules_of_layers(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that grew has its joules and the change of its work in one line, also in the file."""
    spends = "self.spend(self.joules)"
    test = WHOLE.replace(spends, f"{spends}; x = x.double() if self.joules > 1 else x")
    project.write("test_net.py", test.replace("torch.zeros(2)", "torch.zeros(1 << 16)"))
    ran = project.save("--energy-explain")
    assert "    0  Spends  1.00 J  33 %  1.0 x similar  524 kB moved" in ran.lines
    monkeypatch.setenv("DOUBLED", "1")
    ran = project.energy("--energy-explain")
    rows = [line.split()[:1] + line.split()[-4:] for line in ran.lines if " Spends " in line]
    assert rows[0][:3] == ["1", "%", "work"]
    assert sorted(row[0] for row in rows if row[-2:] == ["same", "work"]) == ["0"]
    work = ran.results["test_model"].verdict.work
    assert work is not None
    assert [each.name for each in work.layers if not each.same] == ["1", "2"]
