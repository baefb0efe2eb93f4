"""Work in a worker process that lives longer than the calls that it serves, as in TorchBench."""

from __future__ import annotations

import pytest

from tests.integration.projects import ALONE, Project

pytest.importorskip("torch", reason="needs torch: make test-studies")

#: Each call makes a worker compute for 50 ms of CPU time, on command by a pipe.
WORKER = """
    import sys
    import time

    for line in sys.stdin:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        print("done", flush=True)
"""
TESTS = """
    import subprocess
    import sys

    import pytest
    import torch

    class Task:
        def __init__(self):
            command = [sys.executable, "worker.py"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
            self.process = subprocess.Popen(command, text=True, **pipes)

        def invoke(self):
            self.process.stdin.write("compute\\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "done\\n"

        def end(self):
            self.process.communicate()


    @pytest.fixture
    def task():
        task = Task()
        yield task
        task.end()


    def test_task(benchmark, task):
        benchmark(task.invoke)
"""
ESTIMATE = """
    [pytest]
    energy_sensors = estimate
    energy_cpu_watts = 10 W
"""


def test_joules_of_a_living_worker_count(project: Project) -> None:
    """Its CPU time counts in each call, and counted work says that it was not seen."""
    project.write("pytest.ini", ESTIMATE)
    project.write("worker.py", WORKER)
    project.write("test_it.py", TESTS)
    ran = project.energy(*ALONE, "--energy-benchmarks")
    result = ran.results["test_task"]
    # 1 % of the time that passes is added: on a busy machine a call takes longer.
    assert result.by_domain["cpu:0"] == pytest.approx(10 * 0.05, rel=0.25)
    assert result.work is not None
    assert result.work.coverage.children > 0.9
    ran.stdout.fnmatch_lines(["* work  not counted: 0 % covered: the work runs in another process"])
