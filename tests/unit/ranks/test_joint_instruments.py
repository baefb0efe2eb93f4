"""What the sensors of several ranks count together, and the sum of their windows."""

from __future__ import annotations

from pytest_greenops.model.measurement import Domain, Window
from pytest_greenops.ranks.joint_instruments import Hosts, _joint, _Sensors, summed

CPU, DRAM = Domain("cpu:0", "cpu"), Domain("dram:0", "dram")


def sensors(
    *domains: Domain,
    own: bool = False,
    cards: tuple[str, ...] = (),
    doubts: dict[str, str] | None = None,
) -> _Sensors:
    """Return the sensors of a rank; `own` ones see its own processes only, and estimate."""
    names = tuple(domain.name for domain in domains)
    return _Sensors(
        domains,
        dict.fromkeys(names, "estimate" if own else "powercap"),
        names if own else (),
        names if own else (),
        cards,
        doubts or {},
    )


def test_the_first_rank_of_a_host_reads_it() -> None:
    """Ranks that share a host share a reader, in whatever order the launcher numbers them."""
    hosts = Hosts((0, 1, 0, 1))
    assert [hosts.first(rank) for rank in range(4)] == [0, 1, 0, 1]
    assert [hosts.reads(rank) for rank in range(4)] == [True, True, False, False]
    assert hosts.number == 2


def test_devices_are_numbered_through_all_hosts() -> None:
    """Each counter of each host keeps its kind and gets a name of its own."""
    gpus = [Domain(f"gpu:{number}", "gpu") for number in range(2)]
    psys = Domain("psys", "psys", counted=False)
    one = sensors(CPU, *gpus, psys, doubts={"gpu:1": "drifts"})
    joint = _joint([one, sensors(), one], Hosts((0, 0, 1)))
    assert not isinstance(joint, str)
    assert [domain.name for domain in joint.domains] == [
        *("cpu:0", "gpu:0", "gpu:1", "psys"),
        *("cpu:1", "gpu:2", "gpu:3", "psys:1"),
    ]
    assert joint.names[2] == {
        **{"cpu:0": "cpu:1", "gpu:0": "gpu:2", "gpu:1": "gpu:3", "psys": "psys:1"}
    }
    assert joint.doubts == {"gpu:1": "drifts", "gpu:3": "drifts"}
    assert joint.sensor_of["gpu:3"] == "powercap"


def test_what_counts_processes_is_read_in_each_rank() -> None:
    """The estimates of the ranks of a host have one name, so that they are summed."""
    joint = _joint([sensors(CPU, DRAM, own=True)] * 4, Hosts((0, 0, 1, 1)))
    assert not isinstance(joint, str)
    assert [domain.name for domain in joint.domains] == ["cpu:0", "dram:0", "cpu:1", "dram:1"]
    assert joint.estimated == ("cpu:0", "dram:0", "cpu:1", "dram:1")
    assert joint.names[1] == {"cpu:0": "cpu:0", "dram:0": "dram:0"}
    assert joint.names[3] == {"cpu:0": "cpu:1", "dram:0": "dram:1"}


def test_ranks_of_a_host_must_count_alike() -> None:
    """If only some of them can estimate, the sum would lack the others."""
    joint = _joint([sensors(CPU, own=True), sensors()], Hosts((0, 0)))
    assert joint == (
        "rank 1 counts nothing of its own processes, rank 0 on the same host cpu:0: give both the "
        "same --energy-sensors"
    )


def test_the_reader_of_a_host_must_see_all_cards() -> None:
    """A card that only another rank sees would be missing in the sum; fewer are no problem."""
    all_, one, other = (sensors(cards=cards) for cards in (("a", "b"), ("a",), ("b",)))
    assert not isinstance(_joint([all_, one, other], Hosts((0, 0, 0))), str)
    assert not isinstance(_joint([one, other], Hosts((0, 1))), str)
    assert _joint([one, other], Hosts((0, 0))) == (
        "rank 1 sees a GPU that rank 0, which reads those of their host, does not: show all to "
        "both, without CUDA_VISIBLE_DEVICES (Slurm: --gpu-bind=none)"
    )


def test_energy_is_summed_and_errors_are_added_as_independent_ones() -> None:
    """The window lasts as long as that of rank 0."""
    names = [{"cpu:0": "cpu:0"}, {"cpu:0": "cpu:0"}, {"cpu:0": "cpu:1"}]
    windows = [
        Window(1.0, {"cpu:0": 10}, {}, {"cpu:0": 3.0}),
        Window(1.1, {"cpu:0": 20}, {}, {"cpu:0": 4.0}),
        Window(1.2, {"cpu:0": 5}, {}, {}),
    ]
    assert summed(windows, names) == Window(1.0, {"cpu:0": 30, "cpu:1": 5}, {}, {"cpu:0": 5.0})


def test_a_counter_that_is_missing_in_one_rank_is_missing() -> None:
    """Its reason names the rank; what a rank does not count for the job is ignored."""
    names = [{"cpu:0": "cpu:0"}, {"cpu:0": "cpu:0"}, {}]
    windows = [
        Window(1.0, {"cpu:0": 10}),
        Window(1.0, {}, {"cpu:0": "cpu:0 could not be read"}),
        Window(1.0, {}, {"cpu:0": "not of this job"}),
    ]
    expected = Window(1.0, {}, {"cpu:0": "rank 1: cpu:0 could not be read"})
    assert summed(windows, names) == expected
