"""With `--energy`: the plugins of a run, or of one that measures for another process."""

from __future__ import annotations

import pytest

from pytest_greenops.hooks.fresh_child import FreshChild, measuring_only
from pytest_greenops.hooks.fresh_parent import FreshParent
from pytest_greenops.hooks.job_run import NO_FRESH_PROCESS, JobRun
from pytest_greenops.hooks.measuring import Measuring
from pytest_greenops.hooks.side_process import SideProcess
from pytest_greenops.model.run_options import Options


def join(
    config: pytest.Config, options: Options, started: tuple[list[str], dict[str, str]] | None
) -> None:
    """Register what measures the tests of this process, and what it needs.

    started  `sys.path` and the environment before a conftest.py changed them, if known

    Raises `pytest.UsageError` for what a job of several ranks cannot do.
    """
    plugins = config.pluginmanager
    if FreshChild.of(config):
        options = measuring_only(options)
    if side := SideProcess.of(config):
        options = side.options(options)
    job = JobRun.of(config, options)
    if job is not None:
        options = job.options(options)
        plugins.register(job, "greenops-job")
    refusal = None if options.fresh_process else "energy_fresh_process is off"
    parent = FreshParent(config, started, NO_FRESH_PROCESS if job else refusal)
    plugins.register(parent, "greenops-fresh-parent")
    against_ref = None
    if options.ab is not None:
        from pytest_greenops.hooks.ref_parent import RefParent

        against_ref = RefParent(config, options, parent)
    measuring = Measuring(config, options, parent, against_ref, job)
    plugins.register(measuring, "greenops-measuring")
    if options.benchmarks:
        from pytest_greenops.hooks.benchmark_fixture import Benchmarks

        plugins.register(Benchmarks(measuring.handle, options), "greenops-benchmarks")
    if against_ref is not None:
        plugins.register(against_ref, "greenops-against-ref")
