"""The suites: where each is fetched from, what it needs, and what it measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Suite(NamedTuple):
    """A benchmark suite of another project, at one commit.

    packages   what it needs besides pytest, at fixed versions; `.` is its own checkout
    arguments  of pytest: those of the project's own CI, and a choice of tests
    codspeed   its fixture is that of pytest-codspeed, else that of pytest-benchmark
    added      what this plugin lacked for it
    """

    name: str
    style: str
    url: str
    commit: str
    packages: str
    arguments: str
    codspeed: bool = False
    added: str = "nothing"


PYTEST = "pytest==9.2.0"
BENCHMARK, CODSPEED = "pytest-benchmark==5.3.1", "pytest-codspeed==5.0.4"
SUITES = (
    Suite(
        "TorchBench",
        "models in a worker process",
        "https://github.com/pytorch/benchmark",
        "0e83c440a51cd63464fee34724d01b7c814ce39b",
        "torch==2.13.0 numpy==2.4.6 pyyaml==6.0.4 py-cpuinfo==9.0.0 distro==1.9.0 iopath==0.1.10 "
        "tabulate==0.10.0 patch==1.16 psutil==7.2.2",
        "test_bench.py -k 'dcgan or lennard_jones or phlippe_resnet' --cpu_only "
        "--ignore_machine_config",
        added="a clause on other processes",
    ),
    Suite(
        "markdown-it-py",
        "a parser in Python, and its peers",
        "https://github.com/executablebooks/markdown-it-py",
        "2c3f71ec46c4259ca375fb40c9cd47385c6c304e",
        ". commonmark==0.9.2 markdown==3.11.3 mistletoe==1.6.0 mistune==3.4.0 "
        "markdown-it-pyrs==0.4.0",
        "benchmarking/bench_core.py benchmarking/bench_packages.py",
    ),
    Suite(
        "orjson",
        "a serialiser in Rust",
        "https://github.com/ijl/orjson",
        "5cbb3d0398a2f42de51210270286fecd798c5d78",
        "orjson==3.11.8",
        "bench/benchmark_dumps.py bench/benchmark_loads.py",
    ),
    Suite(
        "sparse",
        "numerical code, compiled by Numba",
        "https://github.com/pydata/sparse",
        "90ecf60e0568fc9616dad44d841ea3e82c825be4",
        ". numba==0.68.1 scipy==1.17.1 pytest-cov==7.1.0",
        "benchmarks/test_elemwise.py --codspeed --no-cov -k '(add or mul) and not Finch'",
        codspeed=True,
    ),
    Suite(
        "aiohttp",
        "an async library: client and server",
        "https://github.com/aio-libs/aiohttp",
        "5e392ce0456f5235a4ee6ad46f0e806df2f15873",
        "aiohttp==3.14.3 pytest-cov==7.1.0 pytest-mock==3.17.0 pytest-timeout==2.4.0 "
        "pytest-xdist==3.8.0 trustme==1.2.1 blockbuster==1.5.29 zlib_ng==1.1.0 isal==1.9.1 "
        "freezegun==1.5.5 proxy.py==2.4.10",
        "tests/test_benchmarks_client.py tests/test_benchmarks_client_ws.py --codspeed --no-cov "
        "--timeout=0 -k 'simple or json or text_messages'",
        codspeed=True,
        added="a function that is a parameter, by its name",
    ),
)
#: By name.
CATALOGUE: Mapping[str, Suite] = {suite.name: suite for suite in SUITES}
