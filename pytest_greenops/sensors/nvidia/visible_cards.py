"""Which NVIDIA cards the machine has, and which of them CUDA shows to this process."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pytest_greenops.model.errors import SensorUnavailable
from pytest_greenops.sensors.nvidia.binding import text
from pytest_greenops.system import SYSTEM

#: A number of more digits is that of no card, whatever follows; Python refuses very long ones.
_DIGITS = 18


@dataclass(frozen=True)
class Card:
    """One card; `index` is NVML's, which follows the PCI bus."""

    index: int
    uuid: str
    name: str

    @property
    def domain(self) -> str:
        """The name of its energy domain."""
        return f"gpu:{self.index}"

    def __str__(self) -> str:
        return f"{self.domain} ({self.name})"


class ShownCards(NamedTuple):
    """The cards that answer, and a note for each that the driver has lost."""

    cards: list[Card]
    lost: list[str]


def all_cards(nvml: Any) -> ShownCards:
    """Return every card that the driver shows; raise `SensorUnavailable` if it or none answers.

    Cards that this user may not use are left out: no work of this process can be on them.
    """
    cards: list[Card] = []
    lost: dict[int, str] = {}
    try:
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        raise SensorUnavailable(f"the NVIDIA driver does not count its cards ({error})") from None
    for index in range(count):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            uuid, name = (
                text(ask, handle) for ask in (nvml.nvmlDeviceGetUUID, nvml.nvmlDeviceGetName)
            )
            cards.append(Card(index, uuid, name))
        except nvml.NVMLError as error:
            if error.value != nvml.NVML_ERROR_NO_PERMISSION:
                lost[index] = f"gpu:{index} does not answer ({error})"
    if cards:
        return ShownCards(cards, [f"{why}: not measured" for why in lost.values()])
    if lost:
        fix = f"sudo nvidia-smi --gpu-reset -i {','.join(map(str, lost))}, or reboot"
        raise SensorUnavailable(f"no NVIDIA card can be used: {', '.join(lost.values())}", fix)
    if count:
        reason = f"this user may not use {'the NVIDIA card' if count == 1 else 'the NVIDIA cards'}"
        raise SensorUnavailable(reason, "give it access to /dev/nvidia*")
    raise SensorUnavailable("the NVIDIA driver shows no card", absent=True)


def visible_cards(
    nvml: Any, cards: Sequence[Card], environ: Mapping[str, str]
) -> tuple[list[Card], list[str]]:
    """Return the cards that CUDA shows, and notes on how they were found.

    The rules are those of CUDA and torch: the list ends at the first entry that names no card, and
    an entry that is listed twice hides all cards.
    """
    listed = environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return list(cards), []
    if listed.strip() in ("", "-1"):
        raise SensorUnavailable(f"CUDA_VISIBLE_DEVICES={listed!r} hides all cards", absent=True)
    entries = [entry.strip() for entry in listed.split(",")]
    notes = []
    if not _order_is_clear(cards, entries, environ):
        if shown := _shown_by_torch(cards):
            return shown, ["cards as torch sees them"]
        order = "CUDA_VISIBLE_DEVICES taken in PCI bus order, which CUDA may not follow"
        notes.append(f"{order}: set CUDA_DEVICE_ORDER=PCI_BUS_ID")
    found, trouble = _named(nvml, cards, entries)
    if not found:
        reason = f"CUDA_VISIBLE_DEVICES={listed!r} shows no card: it {trouble}"
        raise SensorUnavailable(reason, "name cards as nvidia-smi -L lists them")
    return found, notes + [f"CUDA_VISIBLE_DEVICES {trouble}"] * bool(trouble)


def _named(
    nvml: Any, cards: Sequence[Card], entries: Sequence[str]
) -> tuple[list[Card], str | None]:
    """Return the cards of a list, and what is wrong with the list, if anything."""
    if len(set(entries)) < len(entries):
        return [], "names a card twice"
    found: list[Card] = []
    for entry in entries:
        card = _card_of(nvml, cards, entry)
        if card is None:
            return found, f"ends at {entry!r}, which names no single card"
        if card not in found:  # two MIG instances may share one
            found.append(card)
    return found, None


def _card_of(nvml: Any, cards: Sequence[Card], entry: str) -> Card | None:
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
    """Return the number that an entry starts with: CUDA reads `1gpu` as 1."""
    digits = re.match(r"\+?[0-9]+", entry)
    return int(digits[0][:_DIGITS]) if digits else None


def _parent_uuid(nvml: Any, mig: str) -> str:
    """Return the card of a MIG instance: `MIG-<uuid>`, or `MIG-GPU-<uuid>/<gi>/<ci>` (old)."""
    if mig.startswith("MIG-GPU-"):
        return mig.removeprefix("MIG-").partition("/")[0]
    try:
        instance = nvml.nvmlDeviceGetHandleByUUID(mig)
        card = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(instance)
        return str(nvml.nvmlDeviceGetUUID(card))
    except nvml.NVMLError:
        return mig


def _order_is_clear(
    cards: Sequence[Card], entries: Sequence[str], environ: Mapping[str, str]
) -> bool:
    """Return whether CUDA numbers cards as NVML does: its default is the fastest model first."""
    numbers = any(_ordinal(entry) is not None for entry in entries)
    alike = len({card.name for card in cards}) == 1
    return alike or not numbers or environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"


def _shown_by_torch(cards: Sequence[Card]) -> list[Card]:
    """Return the cards that CUDA shows to torch, if torch is loaded and has initialised CUDA."""
    cuda = getattr(SYSTEM.modules.get("torch"), "cuda", None)
    if cuda is None or not cuda.is_initialized():
        return []
    properties = [cuda.get_device_properties(i) for i in range(cuda.device_count())]
    uuids = {f"GPU-{getattr(card, 'uuid', None)}" for card in properties}
    return [card for card in cards if card.uuid in uuids]
