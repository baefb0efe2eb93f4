"""Input that once raised something undocumented, by the name of its reader."""

from __future__ import annotations

import msgspec

from tests.properties.kernel_files import encoded
from tests.properties.samples import BASELINES, EVENTS

#: More digits than Python reads as a number.
_LONG = "9" * 5000
_ZONE = "class/powercap/intel-rapl:0"
_READY = EVENTS[0]

FOUND: tuple[tuple[str, bytes], ...] = (
    ("baseline", BASELINES[1].replace(b'"units"', b'"u\\u001b[2J\\nnits"', 1)),
    ("option", _LONG.encode()),
    ("cuda-visible-devices", _LONG.encode()),
    ("powercap-tree", encoded({f"{_ZONE}/name": f"package-{_LONG}\n"})),
    (
        "powercap-tree",
        encoded(
            {
                f"{_ZONE}/name": "package-0\n",
                f"{_ZONE}/energy_uj": "1\n",
                f"{_ZONE}/max_energy_range_uj": f"{_LONG}\n",
            }
        ),
    ),
    ("powercap-tree", encoded({f"{_ZONE}/name": "package-0\nn"})),
    ("machine-tree", encoded({"sys/fs/cgroup/cpu.max": f"{'9' * 400} 1\n"})),
    ("machine-tree", encoded({"sys/devices/system/cpu/online": f"0-{'9' * 4300}"})),
    (
        "machine-tree",
        encoded(
            {
                "sys/class/hwmon/hwmon0/name": "coretemp",
                "sys/class/hwmon/hwmon0/temp1_input": "9" * 400,
            }
        ),
    ),
    ("proc-pid-stat", b""),
    ("proc-pid-stat", b"7 (x) S 1 7 7 0 -1 0 0 0 0 0 0 0 x 4 5\n"),
    ("proc-children", b"\0"),
    ("nvml", b"\7"),
    # A power limit of one milliwatt, after what one card and its architecture are.
    ("nvml", b"\0\1" + b"\0" * 9 + b"\0\0" + b"\0" * 9 + b"\0\1"),
    ("ab-event", _READY.replace(b"tests/test_x", b"\xffests/test_x")),
    ("fresh-answer", msgspec.msgpack.encode({"failure": "x"}).replace(b"x", b"\xff")),
    ("bisect-log", b"# pytest-greenops: \n"),
    ("bisect-log", b'# pytest-greenops: {"good": 1}\n'),
    ("history-url", b"\n"),
    ("marker-text", b"1 J, a\nb=1, a\nb=2"),
    ("ini-budget", b"* = 1 J, a\nb=1, a\nb=2"),
)
