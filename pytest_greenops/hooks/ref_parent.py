"""With `--energy-ab`: the trees and processes of a run that compares with a git ref."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from pytest_greenops import machine
from pytest_greenops.ab import children, redirect, ref_count, refs, worktree
from pytest_greenops.ab.left_ref import where_head_left
from pytest_greenops.ab.moved_call import move
from pytest_greenops.ab.own_packages import source_roots
from pytest_greenops.ab.places import Places
from pytest_greenops.ab.redirect import Redirect
from pytest_greenops.ab.ref_comparison import RefComparison
from pytest_greenops.ab.ref_setup import build
from pytest_greenops.ab.side import Side, SideRequest
from pytest_greenops.ab.tests_here import copy_tests
from pytest_greenops.ab.work import Limits
from pytest_greenops.hooks import ini_budgets, selection
from pytest_greenops.hooks.fresh_parent import FreshParent, node_of
from pytest_greenops.hooks.progress_bar import ProgressBar
from pytest_greenops.model.counted import WorkRecord
from pytest_greenops.model.errors import GreenopsError, OptionError
from pytest_greenops.model.interleaved import Interleaved, label
from pytest_greenops.model.outcome import Outcome
from pytest_greenops.model.run_options import Options
from pytest_greenops.report import interleaved_text
from pytest_greenops.run.against_ref import Compared
from pytest_greenops.run.trial import Trial

#: What readers call the side of the user's tree.
HERE = "the working tree"


class RefParent:
    """Has the tests of this run compared with a git ref: makes its tree, and ends what it started.

    ref    the ref, once the session has started
    notes  what of its tree could not be checked out
    """

    def __init__(self, config: pytest.Config, options: Options, parent: FreshParent) -> None:
        self.ref: refs.Ref | None = None
        self.notes: tuple[str, ...] = ()
        self._good: str | None = None
        self._config = config
        self._options = options
        self._parent = parent
        self._worktree: worktree.Worktree | None = None
        self._sides: tuple[Side, Side] | None = None
        self._top = ""
        self._tests: dict[pytest.Item, tuple[str, str]] = {}
        self._files: list[str] = []
        self._hangs: str | None = None

    @property
    def label(self) -> str:
        """Return the ref for readers: `3f2a91c (main)`."""
        assert self.ref is not None
        return label(self.ref.written, self.ref.short)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Find the commit to compare with, before anything is collected."""
        assert self._options.ab is not None
        try:
            self._refuse()
            folder = self._config.rootpath
            self._top = os.path.realpath(refs.toplevel(folder))
            self.ref = refs.resolve(self._options.ab, folder)
            self._good = where_head_left(self.ref.commit, folder)
        except GreenopsError as error:
            raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Make the tree of the ref, if there is anything to compare."""
        items = [item for item in session.items if selection.is_energy_test(item)]
        if not items or getattr(self._config.option, "collectonly", False):
            return
        self._tests = {item: self._relative(node_of(item)) for item in items}
        self._files = list(dict.fromkeys(path for path, _ in self._tests.values()))
        try:
            self._sides = self._prepare()
        except GreenopsError as error:
            raise pytest.UsageError(str(error)) from None

    def pytest_unconfigure(self) -> None:
        """End what was started, and remove the tree."""
        for side in self._sides or ():
            side.abandon()
        if self._worktree is not None:
            self._worktree.remove()
        self._sides = self._worktree = None

    def decide(self, item: pytest.Item, trial: Trial, progress: ProgressBar) -> None:
        """Compare what a trial counted with the ref, and what it measured unless it only counts."""
        against_ref = trial.against_ref
        with progress:
            against_ref.count(partial(self.count, item), self.label)
        if not self._options.count_only:
            against_ref.compare(partial(self.compare, item, against_ref.allowed, progress))

    def compare(
        self,
        item: pytest.Item,
        allowed: tuple[float, str | None],
        progress: ProgressBar,
        compared: Mapping[str, Compared],
    ) -> Mapping[str, Interleaved]:
        """Compare measurements of a test with the ref, and show how far it is.

        allowed  how many seconds that may take, and what allows more if it is not the option

        After a side that hangs nothing is compared any more: each might take as long.
        """
        assert self.ref is not None
        if self._sides is None or item not in self._tests:
            return self._none(compared, "only when it runs, this test asks to be measured")
        if self._hangs is not None:
            return self._none(compared, f"nothing is compared any more, since {self._hangs}")
        path, names = self._tests[item]
        most_s, raised_by = allowed
        parent = self._parent
        comparison = RefComparison(
            self._sides,
            (self.ref.written, self.ref.short),
            f"{path}::{names}",
            compared,
            Limits.from_now(most_s, parent.patience_s(item), parent.left_s(item), raised_by),
            load=machine.LoadProbe,
            progress=lambda so_far: progress.show(item.name, interleaved_text.live(so_far)),
            in_turn=machine.no_space_for(2),
            notes=self.notes,
        )
        with progress:
            progress.show(item.name, interleaved_text.BEGINS)
            found = comparison.run()
        if comparison.hangs:
            self._hangs = f"a side of {item.name} did not answer"
        known = {"good": self._good, "branch": self.ref.branch}
        return {name: replace(each, **known) for name, each in found.items()}

    def count(self, item: pytest.Item, allowed_s: float) -> dict[str, WorkRecord | str]:
        """Return the counted work of a test in the ref, by name; raise `GreenopsError` if none is.

        allowed_s  how many seconds that may take
        """
        if self._sides is None or item not in self._tests or self._hangs is not None:
            raise GreenopsError(self._hangs or "only when it runs, this test asks to be measured")
        path, names = self._tests[item]
        limits = Limits.from_now(
            allowed_s, self._parent.patience_s(item), self._parent.left_s(item)
        )
        return ref_count.count(self._sides[1], f"{path}::{names}", limits.answer_s)

    def _none(self, compared: Mapping[str, Compared], cause: str) -> Mapping[str, Interleaved]:
        assert self.ref is not None
        written, short = self.ref.written, self.ref.short
        return {
            name: Interleaved(written, short, Outcome.NOT_COMPARABLE, of.margin, cause)
            for name, of in compared.items()
        }

    def _refuse(self) -> None:
        if not self._options.fresh_process:
            raise OptionError(
                "--energy-ab runs each test in other processes too, but energy_fresh_process is "
                "off: change one"
            )
        workers = getattr(self._config.option, "tx", None)
        if workers or hasattr(self._config, "workerinput"):
            raise OptionError(
                "--energy-ab compares one test at a time, so that nothing else runs: use -n0"
            )

    def _prepare(self) -> tuple[Side, Side]:
        """Make the tree of the ref with what it needs, and return both sides; nothing runs yet."""
        assert self.ref is not None
        top, options, config = Path(self._top), self._options, self._config
        worktree.remove_stale(top)
        self._worktree = made = worktree.Worktree(top, self.ref.commit)
        made.make()
        self.notes = tuple(made.notes)
        if options.ab_tests == "here":
            folders = [config.rootpath / each for each in config.getini("testpaths")]
            copy_tests(top, made.tree, config.getini("python_files"), folders)
        tree = os.path.realpath(made.tree)
        site = None
        if options.ab_setup is not None:
            called_in = os.path.realpath(config.invocation_params.dir)
            folder = Path(Places(self._top, tree).mapped(called_in) or tree)
            environment = made.folder / "environment"
            site = build(
                options.ab_setup, tree=made.tree, users=top, environment=environment, folder=folder
            )
        outer = redirect.of_this_process() or Redirect(self._top, self._top)
        of_ref = Redirect(outer.origin, tree, site, source_roots(tree))
        redirected = redirect.write(of_ref, made.folder / "redirect.json")
        return (
            self._side(HERE, outer, tree, made.folder / "here"),
            self._side(self.ref.written, of_ref, self._top, made.folder / "ref", redirected),
        )

    def _side(
        self,
        name: str,
        of_side: Redirect,
        other: str,
        folder: Path,
        redirected: str | None = None,
    ) -> Side:
        folder.mkdir()
        tree = of_side.tree
        invocation = move(self._parent.invocation, self._top, tree, of_side.origin)
        budgets = ini_budgets.override(self._config)
        invocation = replace(invocation, args=[*budgets, *invocation.args])
        found = [file for file in self._files if os.path.exists(f"{tree}/{file}")]
        request = SideRequest(
            invocation,
            os.getpid(),
            [os.path.relpath(f"{tree}/{file}", invocation.folder) for file in found],
            self._parent.drawn_options(),
            str(folder),
            of_side,
            source_roots(tree),
        )
        environ = children.prepare(of_side, other, folder / "start", self._parent.environ)
        return Side(name, request, environ, redirected)

    def _relative(self, node: str) -> tuple[str, str]:
        """Return the path of a test from the top of the tree, and its names."""
        path, _, names = node.partition("::")
        return os.path.relpath(os.path.realpath(path), self._top), names
