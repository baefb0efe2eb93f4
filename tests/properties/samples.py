"""Valid input of each reader, from which bad input is made."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from pytest_greenops.ab.messages import Ended, EndLoop, Ready, Start
from pytest_greenops.baselines import baseline_file, work_file
from pytest_greenops.fleet.node_events import Finished, to_line
from pytest_greenops.measure.commanded import Loop, Order, Slice
from pytest_greenops.model.environment import Environment
from pytest_greenops.model.measurement import Check, CheckName, DeviceState
from pytest_greenops.model.result import SCHEMA, FleetResults, Origin, Result
from pytest_greenops.model.work_baseline import WORK_SCHEMA, WorkBaseline
from pytest_greenops.report.document import fleet_to_json, to_json
from pytest_greenops.run.fresh_process import Answer
from tests.properties.kernel_files import encoded
from tests.properties.pipes import framed
from tests.simulated_host import machine_tree
from tests.unit.builders import (
    CPU,
    GPU,
    MACHINE,
    a_round,
    baseline,
    change,
    key,
    rounds,
    series,
    session,
)
from tests.unit.fleet.runs import TESTS, collected, ended
from tests.unit.judge.test_two_files import measured, results
from tests.unit.works import accepted, changed_verdict, record

_DATA = Path(__file__).parents[1] / "data"
_ROUND = a_round(
    2.0, units={"token": 4.0}, errors={"cpu:0": 0.1}, devices={"cpu:0": DeviceState(61.0, 2100)}
)
_CHECK = Check(CheckName.CONTENTION, "another process", "repeated 3 rounds")
_UNITS = {"token": 4.0}


def _rich() -> Result:
    verdict = msgspec.structs.replace(measured().verdict, change=change(0.2))
    of_work = msgspec.structs.replace(verdict, work=changed_verdict())
    return measured(
        *(2.0,),
        unit="token",
        units=_UNITS,
        checks=(_CHECK,),
        work=record(),
        quality={"accuracy": 0.9},
        verdict=of_work,
        fresh=(rounds(2.1, units=_UNITS),),
        conditions={"threads": "2"},
    )


DOCUMENT = msgspec.structs.replace(
    results(_rich(), measured(test=key("test_other", param="8"))),
    origin=Origin("0" * 32, "project", "1" * 40, False, "main", {"python": "3.12"}),
)
RESULTS = (to_json(DOCUMENT), to_json(results(measured())))
FLEET_RESULTS = (fleet_to_json(FleetResults(SCHEMA, (DOCUMENT, results(measured())))),)
BASELINES = tuple(
    baseline_file.encode(each)
    for each in (
        baseline(),
        baseline(call=series(session([_ROUND] * 5), session([_ROUND] * 6, 2, accuracy=0.9))),
    )
)
WORK = (work_file.encode(WorkBaseline(WORK_SCHEMA, key(), {"call": accepted()})),)
FOREIGN = tuple(sorted(file.read_bytes() for file in _DATA.iterdir()))

_LOOP = Loop((CPU, GPU), {"cpu:0": "fake"}, ("cpu:0",), False, 5, None, True, "coverage")
_SLICE = Slice({"call": _ROUND}, None, 0.5, 0.0, True)
_READY = Ready(["tests/test_x.py::test"], [], {"tests/test_y.py": "error"}, {}, None, {})
_ENDED = Ended(None, {"pkg": "/site"}, {"call": (_CHECK,)}, {"call": record(), "other": "none"})
EVENTS = tuple(map(framed, (_READY, _LOOP, _SLICE, _ENDED)))
COMMANDS = tuple(map(framed, (Start("tests/test_x.py::test"), Order(5, 1, True), EndLoop())))
NODE_EVENTS = tuple(
    map(
        to_line,
        (
            collected(),
            ended(TESTS[0], _rich()),
            ended(TESTS[1], **{"../test_x.py/test_b.json": BASELINES[0].decode()}),
            Finished(1, results(_rich())),
        ),
    )
)
ANSWERS = (msgspec.msgpack.encode(Answer(Environment(MACHINE), (_rich(),))),)

GIT_STATUS = (
    b"# branch.oid " + b"1" * 40 + b"\n# branch.head main\n1 .M N... 100644 100644 a b x.py\n",
    b"# branch.oid (initial)\n# branch.head (detached)\n",
)
GIT_LISTS = (
    b"submodule.lib.path\nlib\0submodule.other.path\nvendor/other",
    b"fatal: not a git repository (or any of the parent directories): .git\n",
)
_TASK = {
    "good": "1" * 40,
    "bad": "2" * 40,
    "folder": ".",
    "args": ["tests"],
    "follows": ["tests/test_x.py::test", "call"],
}
BISECT_LOGS = (f"# pytest-greenops: {json.dumps(_TASK)}\n# energy: [1a2b] good: +0.1 %\n".encode(),)

_ZONE = "class/powercap/intel-rapl:0"
_PACKAGES = {
    f"{_ZONE}/name": "package-0\n",
    f"{_ZONE}/energy_uj": "123456\n",
    f"{_ZONE}/max_energy_range_uj": "262143328850\n",
    f"{_ZONE}/constraint_0_max_power_uw": "205000000\n",
    f"{_ZONE}/intel-rapl:0:0/name": "dram\n",
    f"{_ZONE}/intel-rapl:0:0/energy_uj": "3456\n",
}
_CPU = "devices/system/cpu/cpu0"
_THROTTLE = {
    f"{_CPU}/topology/physical_package_id": "0\n",
    f"{_CPU}/topology/thread_siblings_list": "0-1\n",
    f"{_CPU}/thermal_throttle/core_throttle_count": "1\n",
    f"{_CPU}/thermal_throttle/package_throttle_count": "2\n",
}
POWERCAP = (encoded(_PACKAGES), encoded({**_PACKAGES, **_THROTTLE}))
_GROUPS = {
    "proc/self/cgroup": "0::/docker/0123456789ab\n",
    "proc/self/mountinfo": "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "sys/fs/cgroup/cpu.max": "200000 100000\n",
}
MACHINES = tuple(
    encoded({**_small, **_GROUPS})
    for _small in (
        {p: t for p, t in machine_tree.bare_metal(info).items() if "/cpu7" not in p}
        for info in (machine_tree.XEON, machine_tree.GRAVITON, machine_tree.POWER)
    )
)
PROC_STAT = (b"cpu  100 2 30 4000 5 6 7 8 0 0\ncpu0 50 1 15 2000 2 3 3 4 0 0\nintr 1\n",)
PROC_PID_STAT = (
    b"7 (py (x) test) S 1 7 7 0 -1 4194304 100 0 0 0 12 3 4 5 20 0 1 0 100 1000 10 184467\n",
)
PROC_CHILDREN = (b"12 13 14 ", b"")
PROC_MEMINFO = (
    b"MemTotal:       16384000 kB\nMemFree: 8000000 kB\nMemAvailable:   9000000 kB\n"
    b"Buffers:          100000 kB\nCached:  2000000 kB\n",
)
