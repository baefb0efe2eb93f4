"""A powercap tree in a folder, laid out like the kernel's, with counters that tests move."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

#: What Intel and AMD kernels show: 2**32 - 1 units of 61.035 and of 15.258 µJ.
INTEL_RANGE_UJ = 262_143_328_850
AMD_RANGE_UJ = 65_532_610_987
TDP_UW = 205_000_000


@dataclass(frozen=True)
class Counter:
    """One zone of a tree: its folder, and a count that wraps at `range_uj` microjoules."""

    zone: Path
    range_uj: int

    @property
    def file(self) -> Path:
        """The file that shows the count."""
        return self.zone / "energy_uj"

    @property
    def energy_uj(self) -> int:
        """The count that the zone shows."""
        return int(self.file.read_text())

    def set(self, energy_uj: int) -> None:
        """Show this count."""
        self.show(b"%d\n" % energy_uj)

    def advance(self, energy_uj: int) -> None:
        """Count this energy, and wrap at the range."""
        self.set((self.energy_uj + energy_uj) % self.range_uj)

    def show(self, text: bytes) -> None:
        """Show any text, for example a torn count, in the file that readers hold open."""
        handle = os.open(self.file, os.O_WRONLY)
        try:
            os.pwrite(handle, text, 0)
            os.ftruncate(handle, len(text))
        finally:
            os.close(handle)

    def forbid(self) -> None:
        """Let only root read the count."""
        self.file.chmod(0o000)

    def fail(self) -> None:
        """Make the count, and every handle on it, answer EIO, like those of a lost device."""
        broken = os.open("/proc/self/mem", os.O_RDONLY)  # its first page can never be read
        try:
            for handle in Path("/proc/self/fd").iterdir():
                if os.path.realpath(handle) == os.path.realpath(self.file):
                    os.dup2(broken, int(handle.name))
        finally:
            os.close(broken)
        self.file.unlink()
        self.file.symlink_to("/proc/self/mem")


class PowercapTree:
    """A tree under `base`: zones in `devices/virtual/powercap`, links in `class/powercap`.

    `root` replaces `/sys/class/powercap`. Counters are found by zone name, those inside a package
    by `package-0/dram`, those of another control type by `intel-rapl-mmio/package-0`.
    """

    def __init__(self, base: Path) -> None:
        self.root = base / "class" / "powercap"
        self._devices = base / "devices" / "virtual" / "powercap"
        self._counters: dict[str, Counter] = {}
        self.root.mkdir(parents=True)
        self._devices.mkdir(parents=True)

    def __getitem__(self, name: str) -> Counter:
        return self._counters[name]

    def control(self, name: str) -> Path:
        """Return the folder of a control type, for example `intel-rapl`, made on first use."""
        folder = self._devices / name
        if not folder.exists():
            folder.mkdir()
            (folder / "enabled").write_text("1\n")
            (folder / "subsystem").symlink_to(os.path.relpath(self.root, folder))
            self._link(folder)
        return folder

    def add(
        self,
        parent: Path,
        name: str,
        key: str | None = None,
        *,
        range_uj: int | None = INTEL_RANGE_UJ,
        max_power_uw: Sequence[int] = (TDP_UW, 0),
        mirror_of: Counter | None = None,
    ) -> Counter:
        """Add a zone inside a control type or a zone, with the next hexadecimal number.

        A mirror shows the counter of another zone. `range_uj` None omits the range file.
        """
        number = sum(1 for entry in parent.iterdir() if entry.name.startswith(f"{parent.name}:"))
        zone = parent / f"{parent.name}:{number:x}"
        zone.mkdir()
        (zone / "name").write_text(f"{name}\n")
        (zone / "device").symlink_to(os.path.relpath(parent, zone))
        (zone / "subsystem").symlink_to(os.path.relpath(self.root, zone))
        for index, power_uw in enumerate(max_power_uw):
            (zone / f"constraint_{index}_max_power_uw").write_text(f"{power_uw}\n")
        if range_uj is not None:
            (zone / "max_energy_range_uj").write_text(f"{range_uj}\n")
        counter = Counter(zone, range_uj or INTEL_RANGE_UJ)
        if mirror_of:
            os.link(mirror_of.file, counter.file)
        else:
            # No two counters start alike, or two dies would look like one.
            counter.file.write_text(f"{1_000_003 * (len(self._counters) + 1)}\n")
        # The kernel's is 0400; the user of the tests must also write, root or not.
        counter.file.chmod(0o600)
        self._link(zone)
        self._counters[key or name] = counter
        return counter

    def hide(self) -> None:
        """Leave dead links, as container runtimes do."""
        self._devices.rename(self._devices.with_name("hidden"))

    def unlink_flat(self) -> None:
        """Keep the nested zones, without a link to each at the top."""
        for link in self.root.iterdir():
            if ":" in link.name:
                link.unlink()

    def _link(self, folder: Path) -> None:
        (self.root / folder.name).symlink_to(os.path.relpath(folder, self.root))


def build(
    base: Path,
    packages: Sequence[int] = (0,),
    *,
    dram: Collection[int] | None = None,
    psys: bool = False,
    dies: int = 1,
    mirrored: bool = False,
    core: bool = True,
    msr: bool = True,
    mmio: bool = False,
    range_uj: int | None = INTEL_RANGE_UJ,
    max_power_uw: Sequence[int] = (TDP_UW, 0),
) -> PowercapTree:
    """Return a machine with these CPU packages.

    dram      packages with a dram zone; None is all of them, and mirrored dies have none
    psys      a zone of the whole platform for each package
    dies      zones for each package, whose counters are its own or `mirrored`
    core      core and uncore zones inside each package
    msr, mmio which control types show the packages; mmio repeats the counters of msr
    """
    tree = PowercapTree(base)

    def add(
        parent: Path, name: str, key: str | None = None, mirror_of: Counter | None = None
    ) -> Counter:
        return tree.add(
            parent, name, key, range_uj=range_uj, max_power_uw=max_power_uw, mirror_of=mirror_of
        )

    def add_die(package: int, name: str, mirror_of: Counter | None) -> Counter:
        die = add(tree.control("intel-rapl"), name, mirror_of=mirror_of)
        inside = ["core", "uncore"] if core else []
        if not mirrored and (dram is None or package in dram):
            inside.append("dram")
        for part in inside:
            add(die.zone, part, f"{name}/{part}")
        return die

    for package in packages if msr else ():
        first: Counter | None = None
        for die in range(dies):
            name = f"package-{package}" + (f"-die-{die}" if dies > 1 else "")
            counter = add_die(package, name, first if mirrored else None)
            first = first or counter
        if psys:
            add(tree.control("intel-rapl"), f"psys-{package}" if package else "psys")
    for package in packages if mmio else ():
        name = f"package-{package}"
        repeated = tree[name] if msr else None
        add(tree.control("intel-rapl-mmio"), name, f"intel-rapl-mmio/{name}", repeated)
    return tree


def build_cpus(
    base: Path,
    packages: Sequence[int] = (0,),
    *,
    each: int = 2,
    offline: Collection[int] = (),
    throttle: bool = False,
) -> None:
    """Make the part of `devices/system/cpu` below `base` that has the package of each CPU.

    offline   CPUs that keep their folder and have no topology
    throttle  each CPU counts how often it was slowed down by heat: never, until a test writes it
    """
    folder = base / "devices" / "system" / "cpu"
    for cpu in range(each * len(packages)):
        (folder / f"cpu{cpu}").mkdir(parents=True)
        if cpu not in offline:
            topology = folder / f"cpu{cpu}" / "topology"
            topology.mkdir()
            (topology / "physical_package_id").write_text(f"{packages[cpu // each]}\n")
            (topology / "thread_siblings_list").write_text(f"{cpu}\n")
        for level in ("core", "package") if throttle else ():
            counter = throttle_counter(folder, cpu, level)
            counter.parent.mkdir(exist_ok=True)
            counter.write_text("0\n")
    (folder / "present").write_text(f"0-{each * len(packages) - 1}\n")


def throttle_counter(cpus: Path, cpu: int, level: str) -> Path:
    """Return the file that counts how often heat slowed a CPU's `core` or `package` down."""
    return cpus / f"cpu{cpu}" / "thermal_throttle" / f"{level}_throttle_count"
