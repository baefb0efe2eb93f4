"""NVIDIA cards, through the total energy counter that NVML keeps of each (Volta and newer).

`nvmlDeviceGetTotalEnergyConsumption` counts millijoules since the driver was loaded, in 64 bits: it
does not wrap. It moves in ticks, 10 to 500 ms apart by driver and card, which nothing tells: so the
tick is measured when the sensor is opened.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.model.measurement import Domain, Reading, Source

#: For how long the counters are watched for ticks, and how many changes of each are enough.
WATCH_S = 1.0
CHANGES = 5
#: Taken where the counter did not move while it was watched: a usual tick.
USUAL_TICK_S = 0.1
#: Power peaks above the limit that the driver enforces, which it holds on average only.
HEADROOM = 1.2

_PAUSE_S = 0.0005
_UJ_PER_MJ = 1000


@dataclass(frozen=True)
class _Card:
    """`index` is NVML's, which follows the PCI bus."""

    index: int
    uuid: str
    name: str

    @property
    def domain(self) -> str:
        return f"gpu:{self.index}"

    def __str__(self) -> str:
        return f"{self.domain} ({self.name})"


class NvmlSensor:
    """Counts of the cards that this process may use; see `Sensor` for its attributes."""

    name = "nvml"
    source: Source = "sensed"

    def __init__(
        self, nvml: Any, cards: Sequence[tuple[_Card, Any]], notes: Sequence[str] = ()
    ) -> None:
        self._nvml = nvml
        self._handles: tuple[Any, ...] = tuple(handle for _, handle in cards)
        self.domains = tuple(
            Domain(card.domain, "gpu", max_power_w=_max_power_w(nvml, handle))
            for card, handle in cards
        )
        self.update_period_s, ticks = self._measure_ticks()
        self.method = "; ".join(["NVML total energy counter", *ticks, *notes])

    def read(self) -> Reading:
        """The counts now, in microjoules; None for a card that does not answer."""
        now_ns = time.monotonic_ns()
        counts_mj = [_count_mj(self._nvml, handle) for handle in self._handles]
        return Reading(now_ns, [None if mj is None else mj * _UJ_PER_MJ for mj in counts_mj])

    def close(self) -> None:
        """Give NVML back; a reading after this has no counts."""
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _measure_ticks(self) -> tuple[float, list[str]]:
        """The longest tick of all cards in seconds, and words on it."""
        changes = self._watch()
        ticks = {
            domain.name: statistics.median(b - a for a, b in pairwise(seen))
            for domain, seen in zip(self.domains, changes, strict=True)
            if len(seen) > 1
        }
        unseen = [domain.name for domain in self.domains if domain.name not in ticks]
        words = [f"ticks every {max(ticks.values()) * 1000:.0f} ms"] if ticks else []
        if not unseen:
            return max(ticks.values()), words
        # One change in all that time: the tick is longer than half of it.
        slow = any(len(seen) == 1 for seen in changes)
        assumed_s = WATCH_S if slow else USUAL_TICK_S
        words.append(
            f"no tick of {', '.join(unseen)} seen in {WATCH_S:.0f} s, "
            f"{assumed_s * 1000:.0f} ms assumed"
        )
        return max([assumed_s, *ticks.values()]), words

    def _watch(self) -> list[list[float]]:
        """When each counter changed, in seconds, until enough was seen of all."""
        changes: list[list[float]] = [[] for _ in self._handles]
        last = self.read().energy_uj
        until_s = time.monotonic() + WATCH_S
        while time.monotonic() < until_s and min(map(len, changes)) < CHANGES:
            time.sleep(_PAUSE_S)
            now = self.read()
            for seen, before, after in zip(changes, last, now.energy_uj, strict=True):
                if after != before and None not in (after, before):
                    seen.append(now.time_ns * 1e-9)
            last = now.energy_uj
        return changes


def open_sensor(environ: Mapping[str, str] = os.environ) -> NvmlSensor:
    """Open the cards that CUDA shows to this process, as `environ` says.

    Raises `SensorUnavailable`: absent where there is no driver or no card, or where all are hidden.
    """
    nvml = _start()
    try:
        cards, notes = _visible(nvml, _all_cards(nvml), environ)
        counted, uncounted = _with_counter(nvml, cards)
        if not counted:
            raise SensorUnavailable(f"no card can be measured: {'; '.join(uncounted)}")
        notes += [f"{reason}: not measured" for reason in uncounted]
        notes += _mig_notes(nvml, counted)
        return NvmlSensor(nvml, counted, notes)
    except BaseException:
        nvml.nvmlShutdown()
        raise


def _start() -> Any:
    try:
        import pynvml
    except ImportError:
        raise SensorUnavailable(
            "the Python package nvidia-ml-py is not installed", "pip install nvidia-ml-py"
        ) from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise _no_driver(pynvml, error) from None
    return pynvml


def _no_driver(nvml: Any, error: Any) -> SensorUnavailable:
    if error.value == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return SensorUnavailable(
            "no NVIDIA driver: its library libnvidia-ml.so.1 cannot be loaded", absent=True
        )
    if error.value == nvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return SensorUnavailable(
            "the NVIDIA driver is not loaded", "sudo modprobe nvidia", absent=True
        )
    if error.value == nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return SensorUnavailable(
            "the NVIDIA driver in the kernel and its library have different versions",
            "reboot, or reload the driver",
        )
    if error.value == nvml.NVML_ERROR_NO_PERMISSION:
        return SensorUnavailable(
            "this user may not use the NVIDIA driver", "give it access to /dev/nvidia*"
        )
    return SensorUnavailable(f"NVML does not start: {error}")


def _all_cards(nvml: Any) -> list[_Card]:
    cards = []
    for index in range(nvml.nvmlDeviceGetCount()):
        with suppress(nvml.NVMLError):  # a card that fell off the bus, or that is not ours to use
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid, name = nvml.nvmlDeviceGetUUID(handle), nvml.nvmlDeviceGetName(handle)
            cards.append(_Card(index, uuid, name))
    if not cards:
        raise SensorUnavailable("the NVIDIA driver shows no card", absent=True)
    return cards


def _visible(
    nvml: Any, cards: Sequence[_Card], environ: Mapping[str, str]
) -> tuple[list[_Card], list[str]]:
    """The cards that CUDA shows, and words on how they were found.

    Follows CUDA as torch does: the list ends at the first entry that names no card, and an entry
    that stands there twice hides all.
    """
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return list(cards), []
    if listed.strip() in ("", "-1"):
        raise SensorUnavailable(f"CUDA_VISIBLE_DEVICES={listed!r} hides all cards", absent=True)
    entries = [entry.strip() for entry in listed.split(",")]
    notes = []
    if not _order_is_clear(cards, entries, environ):
        truth = _shown_by_torch(cards)
        if truth:
            return truth, ["cards as torch sees them"]
        notes.append(
            "CUDA_VISIBLE_DEVICES taken in PCI bus order, which CUDA may not follow: "
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID"
        )
    found, trouble = _named(nvml, cards, entries)
    if not found:
        raise SensorUnavailable(
            f"CUDA_VISIBLE_DEVICES={listed!r} shows no card: it {trouble}",
            "name cards as nvidia-smi -L lists them",
        )
    return found, notes + [f"CUDA_VISIBLE_DEVICES {trouble}"] * bool(trouble)


def _named(
    nvml: Any, cards: Sequence[_Card], entries: Sequence[str]
) -> tuple[list[_Card], str | None]:
    """The cards of a list, and what is wrong with it, if anything is."""
    if len(set(entries)) < len(entries):
        return [], "names a card twice"
    found: list[_Card] = []
    for entry in entries:
        card = _card_of(nvml, cards, entry)
        if card is None:
            return found, f"ends at {entry!r}, which names no single card"
        if card not in found:  # two MIG instances may share one
            found.append(card)
    return found, None


def _card_of(nvml: Any, cards: Sequence[_Card], entry: str) -> _Card | None:
    ordinal = _ordinal(entry)
    if ordinal is not None:
        return next((card for card in cards if card.index == ordinal), None)
    if entry.startswith("MIG-"):
        entry = _parent_uuid(nvml, entry)
    elif not entry.startswith("GPU-"):
        return None
    matching = [card for card in cards if card.uuid.startswith(entry)]
    return matching[0] if len(matching) == 1 else None


def _ordinal(entry: str) -> int | None:
    """The number that an entry starts with: CUDA reads `1gpu` as 1."""
    digits = re.match(r"\+?\d+", entry)
    return int(digits[0]) if digits else None


def _parent_uuid(nvml: Any, mig: str) -> str:
    """The card of a MIG instance: `MIG-<uuid>`, or `MIG-GPU-<uuid>/<gi>/<ci>` on old drivers."""
    if mig.startswith("MIG-GPU-"):
        return mig.removeprefix("MIG-").partition("/")[0]
    try:
        instance = nvml.nvmlDeviceGetHandleByUUID(mig)
        card = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance)
        return str(nvml.nvmlDeviceGetUUID(card))
    except nvml.NVMLError:
        return mig


def _order_is_clear(
    cards: Sequence[_Card], entries: Sequence[str], environ: Mapping[str, str]
) -> bool:
    """Whether CUDA's numbers are NVML's: by default CUDA puts the fastest of unlike cards first."""
    numbers = any(_ordinal(entry) is not None for entry in entries)
    alike = len({card.name for card in cards}) == 1
    return alike or not numbers or environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"


def _shown_by_torch(cards: Sequence[_Card]) -> list[_Card]:
    """The cards that CUDA shows to torch, if torch is loaded and has already asked it."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return []
    properties = [cuda.get_device_properties(i) for i in range(cuda.device_count())]
    uuids = {f"GPU-{getattr(card, 'uuid', None)}" for card in properties}
    return [card for card in cards if card.uuid in uuids]


def _with_counter(nvml: Any, cards: Sequence[_Card]) -> tuple[list[tuple[_Card, Any]], list[str]]:
    """Cards with their handles whose counter can be read, and why the others' cannot."""
    counted, reasons = [], []
    for card in cards:
        try:
            handle = nvml.nvmlDeviceGetHandleByUUID(card.uuid)
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except nvml.NVMLError as error:
            missing = error.value == nvml.NVML_ERROR_NOT_SUPPORTED
            reasons.append(f"{card} {'has no energy counter' if missing else f'fails: {error}'}")
        else:
            counted.append((card, handle))
    return counted, reasons


def _mig_notes(nvml: Any, cards: Sequence[tuple[_Card, Any]]) -> list[str]:
    split = []
    for card, handle in cards:
        with suppress(nvml.NVMLError):  # a card that cannot be split, or a driver that cannot
            if nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE:
                split.append(card.domain)
    return [f"{', '.join(split)}: energy of the whole card, not of one MIG instance"] * bool(split)


def _max_power_w(nvml: Any, handle: Any) -> float:
    try:
        return float(nvml.nvmlDeviceGetEnforcedPowerLimit(handle)) / 1000 * HEADROOM
    except nvml.NVMLError:
        return Domain("gpu", "gpu").max_power_w


def _count_mj(nvml: Any, handle: Any) -> int | None:
    try:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    except nvml.NVMLError:
        return None
