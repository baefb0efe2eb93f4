"""A Ray cluster: its nodes, and a whole node reserved for one run. The only module with Ray."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from pytest_greenops import __version__
from pytest_greenops.fleet.node_run import NodeRun
from pytest_greenops.model.errors import GreenopsError

#: Resources that belong to a node itself, or that Ray lets nobody ask for.
_NOT_ASKED = ("CPU", "GPU", "memory", "object_store_memory")
#: Ray hides accelerators from what has not asked for them; then a node would seem another machine.
_ACCELERATORS = (
    *("CUDA", "HIP", "ROCR", "NEURON_RT", "TPU", "ASCEND_RT", "HABANA", "RBLN_RT"),
    *("METAX", "FURIOSA", "MBLT_RT"),
)
#: Set in each worker, beside the variables that Ray sets.
_WORKERS = {
    **{f"RAY_EXPERIMENTAL_NOSET_{name}_VISIBLE_DEVICES": "1" for name in _ACCELERATORS},
    "RAY_EXPERIMENTAL_NOSET_ZE_AFFINITY_MASK": "1",
}
#: How long an answer that needs no waiting may take.
_ANSWER_S = 60.0
_MOST_CHARACTERS = 300


class NodeLost(GreenopsError):
    """A node, or the process of ours on it, has ended."""


class Node(NamedTuple):
    """A node of the cluster.

    name       its address, with the start of its id if others have the same address
    resources  all that Ray may give away of it
    """

    id: str
    name: str
    resources: Mapping[str, float]


class Cluster:
    """A cluster that this process is connected to, with a project shipped to its nodes."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    @classmethod
    def connect(cls, address: str, folder: Path) -> Cluster:
        """Connect to a cluster, and ship a folder to it.

        address  `local` starts Ray on this machine alone, `auto` finds a cluster that runs here,
                 others are those of `ray.init`

        Raises `GreenopsError`.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray's reports to its makers
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")  # nodes have their own Python
        ray = _import_ray()
        # Threads change joules: as many as where this is called, not as Ray counts them.
        threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "")}
        options: dict[str, Any] = {
            "runtime_env": {"working_dir": str(folder), "env_vars": {**_WORKERS, **threads}},
            "log_to_driver": False,
            "logging_level": "ERROR",
        }
        if address == "local":
            options["include_dashboard"] = False
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the error says the same
                ray.init(address, **options)
        except Exception as error:
            raise GreenopsError(
                f"--address={address}: Ray cannot be reached ({_first_line(error)}); expected "
                "local, auto, or the address of a running cluster such as ray://HOST:10001"
            ) from None
        return cls(ray)

    def nodes(self) -> list[Node]:
        """Return the nodes that run anything: those with CPUs."""
        living = [each for each in self._ray.nodes() if each["Alive"]]
        addresses = [each["NodeManagerAddress"] for each in living]
        found = []
        for each in sorted(living, key=lambda each: str(each["NodeID"])):
            address, own = each["NodeManagerAddress"], each["NodeID"]
            name = address if addresses.count(address) == 1 else f"{address}-{own[:6]}"
            if each["Resources"].get("CPU"):
                found.append(Node(own, name, each["Resources"]))
        return found

    def visit(self, node: Node) -> Remote:
        """Return an actor on a node that reserves nothing."""
        return self._actor(node, num_cpus=0)

    def reserve(self, node: Node) -> Remote:
        """Return an actor that begins when Ray has all resources of a node free, and takes them."""
        resources = node.resources
        others = {
            name: amount
            for name, amount in resources.items()
            if name not in _NOT_ASKED and not name.startswith("node:")
        }
        return self._actor(
            node,
            num_cpus=resources["CPU"],
            num_gpus=resources.get("GPU", 0),
            memory=resources.get("memory", 0),
            resources=others,
        )

    def _actor(self, node: Node, **resources: Any) -> Remote:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        made = self._ray.remote(NodeRun).options(
            scheduling_strategy=there, max_concurrency=4, max_restarts=0, **resources
        )
        return Remote(self._ray, node, made.remote())

    def first_ready(self, remotes: Sequence[Remote], wait_s: float) -> Remote | None:
        """Return the first of some actors that has begun, or None.

        Raises `NodeLost` if none of them can begin any more.
        """
        pending = {remote.begun: remote for remote in remotes if remote.lost is None}
        if not pending:
            raise next(remote.lost for remote in remotes if remote.lost is not None)
        ready, _ = self._ray.wait(list(pending), num_returns=1, timeout=wait_s)
        for begun in ready:
            remote = pending[begun]
            with suppress(NodeLost):
                remote.check_version()
                return remote
        return None

    def close(self) -> None:
        """Leave the cluster; Ray on this machine alone ends."""
        self._ray.shutdown()


class Remote:
    """An actor on a node; its methods raise `NodeLost` if it has ended.

    lost     why it cannot begin, once that is known
    running  whether pytest was started there, and the actor not ended
    """

    def __init__(self, ray: Any, node: Node, actor: Any) -> None:
        self._ray = ray
        self._actor = actor
        self.node = node
        self.begun = actor.version.remote()
        self.lost: NodeLost | None = None
        self.running = False

    def check_version(self) -> None:
        """Raise `GreenopsError` if the node has another version of this package."""
        try:
            there = str(self._get(self.begun))
        except NodeLost as error:
            self.lost = error
            raise
        if there != __version__:
            raise GreenopsError(
                f"{self.node.name}: pytest-greenops {there[:40]} is installed there, "
                f"{__version__} here: install the same version on all nodes: pip install "
                f"pytest-greenops=={__version__}"
            )

    def start(
        self, args: Sequence[str], done: Sequence[str], origin: bytes, name: str, collect: bool
    ) -> None:
        """Start pytest there; see `NodeRun.start`."""
        self.running = True
        self._get(self._actor.start.remote(list(args), list(done), origin, name, collect))

    def poll(self, after: int, wait_s: float) -> tuple[list[bytes], int | None, str]:
        """Return what pytest has reported meanwhile; see `NodeRun.poll`."""
        found: tuple[list[bytes], int | None, str] = self._get(
            self._actor.poll.remote(after, wait_s), wait_s
        )
        lines, code, printed = found
        if not (
            isinstance(lines, list)
            and all(isinstance(line, bytes) for line in lines)
            and (code is None or type(code) is int)
            and isinstance(printed, str)
        ):
            raise NodeLost(f"{self.node.name}: its answer is not that of pytest-greenops")
        return found

    def stop(self, wait_s: float) -> None:
        """Interrupt pytest there, if it runs, and end the actor."""
        if self.running:
            with suppress(Exception):
                self._ray.get(self._actor.stop.remote(), timeout=wait_s)
        self.end()

    def end(self) -> None:
        """End the actor; a reservation that waits is withdrawn."""
        self.running = False
        with suppress(Exception):
            self._ray.kill(self._actor)

    def _get(self, answer: Any, wait_s: float = 0.0) -> Any:
        with self._naming():
            return self._ray.get(answer, timeout=wait_s + _ANSWER_S)

    @contextmanager
    def _naming(self) -> Iterator[None]:
        """Turn any error of Ray into one line that names the node."""
        try:
            yield
        except Exception as error:
            said = _first_line(error)
            if "ModuleNotFoundError" in str(error):
                said = (
                    f"pytest-greenops cannot be imported there: pip install "
                    f"pytest-greenops=={__version__}"
                )
            raise NodeLost(f"{self.node.name}: {said}") from None


def _import_ray() -> Any:
    try:
        import ray
    except ImportError:
        raise GreenopsError(
            "a fleet needs Ray, which is not installed: pip install 'pytest-greenops[fleet]'"
        ) from None
    except Exception as error:
        raise GreenopsError(
            f"Ray cannot be imported ({type(error).__name__}: {_first_line(error)}); it fails "
            "beside some versions of amdsmi: pip uninstall amdsmi"
        ) from None
    return ray


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:_MOST_CHARACTERS]
