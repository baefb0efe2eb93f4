"""The machine and conditions of a measurement, and why two of them are not comparable."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

#: The condition that says whether the allocator keeps freed memory, and its value if it does.
FREED_MEMORY, KEPT, _RETURNED = "freed memory", "kept", "returned"


def fact_text(raw: bytes) -> str:
    """Return what a kernel, a driver or a tool says as text that any terminal and file can hold.

    Bytes that are not UTF-8 and control characters become escapes, so that different bytes stay
    different facts; line feeds and tabs remain.
    """
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else f"\\x{ord(c):02x}" for c in text)


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts of a machine, as short strings by name.

    machine     must match: what joules depend on, fixed for a run (CPU model, sensors, …)
    conditions  must match: what a test may set for itself (threads, dtype, TF32), and freed memory
    recorded    never compared, for the reader: kernel, library versions, clock rates
    """

    machine: dict[str, str]
    conditions: dict[str, str] = {}
    recorded: dict[str, str] = {}

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits: a hash of the facts of the machine."""
        facts = "\n".join(f"{name}={value}" for name, value in sorted(self.machine.items()))
        return hashlib.sha256(facts.encode()).hexdigest()[:8]

    @property
    def slug(self) -> str:
        """A readable folder name that ends in the fingerprint: `amd-epyc-4c-powercap-1a2b3c4d`."""
        parts = [self.machine.get("cpu", ""), f"{self.machine.get('cores', '')}c"]
        parts += [self.machine.get("gpu", ""), self.machine.get("sensors", "")]
        words = re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")
        return f"{words[:60].rstrip('-')}-{self.fingerprint}"

    def differences(self, other: Environment) -> tuple[str, ...]:
        """Return why a measurement here is not comparable with one there: `('cpu: A -> B',)`.

        See `differing` for conditions that only one of them has.
        """
        if (self.machine, self.conditions) == (other.machine, other.conditions):
            return ()
        machine = self.machine.keys() | other.machine.keys()
        conditions = differing(self.conditions, other.conditions)
        return tuple(
            f"{name}: {theirs.get(name, missing)} -> {ours.get(name, missing)}"
            for ours, theirs, names, missing in (
                (self.machine, other.machine, machine, "unset"),
                (self.conditions, other.conditions, conditions, _RETURNED),
            )
            for name in sorted(names)
            if ours.get(name) != theirs.get(name)
        )


def differing(conditions: Mapping[str, str], others: Mapping[str, str]) -> set[str]:
    """Return the names of the conditions in which two measurements differ.

    A condition that only one of them has is ignored: it belongs to a library that the other had not
    loaded. But memory that is kept in only one differs: the same work may use much less there.
    """
    both = conditions.keys() & others.keys()
    found = {name for name in both if conditions[name] != others[name]}
    kept = {each.get(FREED_MEMORY, _RETURNED) for each in (conditions, others)}
    return found | {FREED_MEMORY} if kept == {KEPT, _RETURNED} else found
