"""The baselines that a worker asks the controller for, as plain values."""

from __future__ import annotations

import marshal
from pathlib import Path
from typing import Any

import pytest

from pytest_greenops.baselines.served import ServedStore, Server
from pytest_greenops.baselines.store import Store
from pytest_greenops.baselines.work_store import WorkStore
from pytest_greenops.model.baseline import TestKey
from pytest_greenops.model.errors import BaselineError
from pytest_greenops.model.work_baseline import WORK_SCHEMA, WorkBaseline
from tests.unit.builders import baseline, key
from tests.unit.works import accepted

HERE, OTHER, LAST = "epyc-1a2b3c4d", "m1-5e6f7a8b", "xeon-9c0d1e2f"
#: Two tests whose names are the same in the names of files of earlier versions.
ONE, TWO = (key("test_x", param="y" * 120 + end) for end in ("904", "3548"))


class Controller:
    """The folder that the controller has, and the questions that it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[tuple[str, Any]] = []

    def save(self, machine: str, test: TestKey) -> Path:
        """Save a baseline of a test on a machine."""
        return Store(self.folder, machine).update(test, lambda known: baseline(test))

    def worker(self) -> ServedStore:
        """Return what a worker has, which hears of nothing but plain values."""
        server = Server(self.folder, HERE)

        def ask(what: str, about: Any) -> Any:
            self.asked.append((what, about))
            answer = server.answer(what, marshal.loads(marshal.dumps(about)))
            return marshal.loads(marshal.dumps(answer))

        return ServedStore(self.folder, HERE, ask)


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    """A controller without any baseline."""
    return Controller(tmp_path / "baselines")


def test_a_worker_has_the_baselines_of_its_machine(controller: Controller) -> None:
    """It asks once for all of them; files of other names are none."""
    for test in (key("test_a"), key("test_b")):
        controller.save(HERE, test)
    controller.save(OTHER, key("test_c"))
    (controller.folder / HERE / "notes.txt").write_text("not a baseline")
    worker = controller.worker()
    assert worker.load(key("test_a")) == baseline(key("test_a"))
    assert worker.load(key("test_b")) == baseline(key("test_b"))
    assert worker.load(key("test_c")) is None
    assert controller.asked == [("part", HERE)]


def test_a_folder_that_does_not_exist_has_none(controller: Controller) -> None:
    """As on the controller's host."""
    worker = controller.worker()
    assert (worker.load(key("test_a")), worker.elsewhere(key("test_a"))) == (None, None)
    assert worker.work_store().load(key("test_a")) is None
    assert worker.notes == {}


def test_a_worker_finds_files_of_an_earlier_version(controller: Controller) -> None:
    """By the test that is in them, without a look at its own disk."""
    new = controller.save(HERE, ONE)
    new.rename(new.with_name(f"{new.stem[:-10]}.json"))
    worker = controller.worker()
    assert worker.load(ONE) == baseline(ONE)
    assert worker.load(TWO) is None


def test_a_worker_has_the_accepted_work(controller: Controller) -> None:
    """It asks for that by itself."""
    saved = WorkBaseline(WORK_SCHEMA, key("test_a"), {"call": accepted()})
    WorkStore(controller.folder).update(key("test_a"), lambda known: saved)
    found = controller.worker().work_store().load(key("test_a"))
    assert found == saved
    assert controller.asked == [("part", "work")]


def test_a_baseline_of_another_machine_is_asked_for_once(controller: Controller) -> None:
    """It is that of the last one by name."""
    test = key("test_a")
    for machine in (OTHER, LAST):
        controller.save(machine, test)
    worker = controller.worker()
    assert worker.elsewhere(test) == worker.elsewhere(test) == baseline(test)
    assert [what for what, _ in controller.asked] == ["elsewhere"]
    assert worker.elsewhere(key("test_b")) is None


def test_what_cannot_be_read_of_another_machine_is_noted(controller: Controller) -> None:
    """With the reason, and the next machine is taken."""
    test = key("test_a")
    controller.save(OTHER, test)
    controller.save(LAST, test).write_text("{")
    worker = controller.worker()
    assert worker.elsewhere(test) == baseline(test)
    assert list(worker.notes) == [LAST]
    assert worker.notes[LAST].startswith("not compared with another machine: ")


def test_a_controller_that_cannot_answer_leaves_a_note(controller: Controller) -> None:
    """A comparison with another machine only explains."""

    def ask(what: str, about: Any) -> Any:
        raise BaselineError(f"cannot read {what}")

    worker = ServedStore(controller.folder, HERE, ask)
    assert worker.elsewhere(key("test_a")) is None
    assert worker.notes == {"": "cannot read elsewhere"}


def test_a_file_that_cannot_be_read_is_refused(controller: Controller) -> None:
    """With its path on the controller's host."""
    path = controller.save(HERE, key("test_a"))
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(BaselineError) as raised:
        Server(controller.folder, HERE).answer("part", HERE)
    assert str(path) in str(raised.value)
