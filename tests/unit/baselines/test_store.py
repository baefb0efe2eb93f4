"""The baselines folder: paths, contents, and that no file is ever half written."""

from __future__ import annotations

import difflib
import errno
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pytest_greenops.baselines import file_tree, known_files
from pytest_greenops.baselines.baseline_file import encode, read, read_data
from pytest_greenops.baselines.store import Store, survey
from pytest_greenops.baselines.whole_file import write_whole
from pytest_greenops.model.baseline import SCHEMA, Baseline, TestKey
from pytest_greenops.model.errors import BaselineError
from tests.simulated_host import child
from tests.unit.builders import a_round, baseline, key, message_of, rounds, series, session

refusal = partial(message_of, BaselineError)

MACHINE = "epyc-1a2b3c4d"
UNSHARE = ("unshare", "--mount", "--propagation", "private")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store in a folder that does not exist."""
    return Store(tmp_path / "project" / "baselines", MACHINE)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder that any user may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


UNWRITABLE_FIX = "free space, fix its permissions, or use another folder: --energy-baselines=DIR"


def save(store: Store, test: TestKey | None = None, **measurements: Any) -> Path:
    """Write a baseline of a test, replacing any other."""
    saved = baseline(test, **measurements)
    return store.update(saved.test, lambda known: saved)


def all_files(folder: Path) -> list[str]:
    """Return every file below a folder, hidden ones too, but not the lock and what hides it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    lock = (".saving/lock", ".saving/.gitignore")
    return sorted(str(p.relative_to(folder)) for p in files if not str(p).endswith(lock))


# --- paths -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("test", "path"),
    [
        (key("test_parse"), "tests/test_x.py/test_parse.json"),
        (key("test_parse", param="4-gzip"), "tests/test_x.py/test_parse[4-gzip].json"),
        (key("test_parse", module="test_x.py"), "test_x.py/test_parse.json"),
        (key("test_parse", module="../a/./test_x.py"), "_up/a/test_x.py/test_parse.json"),
    ],
)
def test_a_plain_name_is_the_name_of_the_file(store: Store, test: TestKey, path: str) -> None:
    """There is one file for each test, below its machine and module, inside the folder."""
    assert store.path(test) == store.folder / MACHINE / path


@pytest.mark.parametrize(
    ("test", "pattern"),
    [
        (key("TestParser.test_parse"), r"TestParser-test_parse-[0-9a-f]{16}\.json"),
        (key("test_parse", param="0.5"), r"test_parse\[0-5\]-[0-9a-f]{16}\.json"),
        (key("test_parse", param="a/b c:é"), r"test_parse\[a_b_c_\]-[0-9a-f]{16}\.json"),
        (key("test_parse", param="../../etc"), r"test_parse\[--_--_etc\]-[0-9a-f]{16}\.json"),
        (key("test_" + "x" * 300), r"test_x{115}-[0-9a-f]{16}\.json"),
    ],
)
def test_any_other_name_is_made_safe_and_unique(store: Store, test: TestKey, pattern: str) -> None:
    """Unsafe characters are replaced, and a hash of the whole name is added."""
    name = store.path(test).name
    assert store.path(test).parent == store.folder / MACHINE / "tests/test_x.py"
    assert re.fullmatch(pattern, name), name


def test_a_file_of_an_earlier_version_keeps_its_name(store: Store) -> None:
    """Where the short hash of its name is that of another test, the other has a file of its own."""
    one, other = (key("test_x", param="y" * 120 + end) for end in ("904", "3548"))
    new = store.update(one, lambda known: baseline(one))
    earlier = new.rename(new.with_name(f"{new.stem[:-10]}.json"))
    for test, name in ((one, earlier), (other, store.path(other))):
        again = Store(store.folder, MACHINE)
        assert again.update(test, lambda known, of=test: known or baseline(of)) == name
        assert again.load(test) == baseline(test)
    assert sorted(new.parent.glob("*.json")) == sorted([earlier, store.path(other)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (key("test_x", param="1.5"), key("test_x", param="1-5")),
        (key("test_x", param="a"), key("test_x", param="A")),
        (key("test_x", param="a b"), key("test_x", param="a_b")),
        (key("test_x", param="a/b"), key("test_x", param="a:b")),
        (key("TestA.test_x"), key("Testa.test_x")),
        (key("test_x", module="../a.py"), key("test_x", module="a.py")),
        (key("test_x", module="../a.py"), key("test_x", module="_up/a.py")),
        (key("test_x", module="_up/a.py"), key("test_x", module="__up/a.py")),
        (key("test_x", param="y" * 200), key("test_x", param="y" * 201)),
        # The same first 24 bits of their hashes.
        (key("test_x", param="y" * 120 + "904"), key("test_x", param="y" * 120 + "3548")),
    ],
)
def test_two_tests_never_share_a_file(store: Store, one: TestKey, other: TestKey) -> None:
    """Names that are equal on some file system have different files on all."""
    assert str(store.path(one)).lower() != str(store.path(other)).lower()


# --- reading and writing ---------------------------------------------------------------------


def test_what_was_saved_is_read(store: Store) -> None:
    """Another run finds the baseline of the test, and none for other tests."""
    save(store)
    again = Store(store.folder, MACHINE)
    assert again.load(key()) == baseline()
    assert again.load(key("test_other")) is None
    assert again.files() == {store.path(key()): baseline()}
    assert again.files() is again.files()


def test_what_was_saved_is_known_at_once(store: Store) -> None:
    """The run that saved a baseline also reads it."""
    assert store.load(key()) is None
    assert save(store) == store.path(key())
    assert store.load(key()) == baseline()


def test_a_change_applies_to_the_current_file(store: Store) -> None:
    """A file that another process saved meanwhile is changed, not what was read earlier."""
    store.files()
    save(Store(store.folder, MACHINE), other=series(session()))
    seen: list[Baseline | None] = []

    def change(known: Baseline | None) -> Baseline:
        seen.append(known)
        return baseline()

    store.update(key(), change)
    assert seen == [baseline(other=series(session()))]


def test_a_file_whose_test_did_not_run_is_not_touched(store: Store) -> None:
    """Saving one test keeps the bytes and the time of all other files."""
    other = save(store, key("test_other"))
    os.utime(other, (1, 1))
    before = other.read_bytes()
    save(store)
    assert (other.read_bytes(), other.stat().st_mtime) == (before, 1)


def test_a_missing_folder_is_empty(store: Store) -> None:
    """Reading does not create it."""
    assert (store.files(), store.load(key()), store.elsewhere(key())) == ({}, None, None)
    assert not store.folder.exists()


def test_files_have_sorted_keys_rounded_figures_and_a_last_line_feed() -> None:
    """Floats have six significant digits and counts all of theirs, for small diffs."""
    exact = replace(a_round(units={"token": 1 / 3}), energy_uj={"cpu:0": 1234567890123})
    kept = session([replace(exact, seconds=0.123456789)], accuracy=2 / 3)
    text = encode(baseline(call=series(kept))).decode()
    document = json.loads(text, object_pairs_hook=in_order)
    [saved] = document["measurements"]["call"]["sessions"]
    [round_] = saved["rounds"]
    assert round_["energy_uj"] == {"cpu:0": 1234567890123}
    assert (round_["seconds"], round_["units"]) == (0.123457, {"token": 0.333333})
    assert saved["quality"] == {"accuracy": 0.666667}
    assert text.endswith("}\n")


def in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON whose keys must be sorted."""
    assert [name for name, _ in pairs] == sorted(name for name, _ in pairs)
    return dict(pairs)


def test_another_session_adds_about_a_line_for_each_of_its_rounds() -> None:
    """A diff of a saved session shows its rounds, and nothing else of the file."""
    recorded = {f"fact {number}": "value" for number in range(20)}
    more = replace(session(rounds(n=20), 2), recorded=recorded)
    one = encode(baseline(call=series(session()))).decode().splitlines()
    two = encode(baseline(call=series(session(), more))).decode().splitlines()
    added = [line[2:] for line in difflib.ndiff(one, two) if line.startswith("+ ")]
    gone = [line for line in difflib.ndiff(one, two) if line.startswith("- ")]
    assert sum('"energy_uj"' in line for line in added) == 20
    assert len(added) - 20 <= 14
    assert len(gone) <= 1


def test_a_file_of_an_earlier_layout_is_read(store: Store) -> None:
    """Its layout has no meaning: only the next save changes it."""
    path = save(store)
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
    assert read(path) == baseline()


def test_the_same_baseline_is_the_same_bytes() -> None:
    """The order of its facts does not matter."""
    one, two = baseline(), baseline()
    turned = replace(two, machine=dict(reversed(two.machine.items())))
    assert encode(one) == encode(turned)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_files_have_the_permissions_that_the_umask_leaves(
    store: Store, mask: int, mode: int
) -> None:
    """A file that exists keeps its own."""
    before = os.umask(mask)
    try:
        path = save(store)
        assert path.stat().st_mode & 0o777 == mode
        path.chmod(0o640)
        save(store)
        assert path.stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


# --- other machines, renamed tests -----------------------------------------------------------


def test_a_baseline_of_another_machine_is_found(store: Store) -> None:
    """It is the last one by the machine's name, and never this machine's."""
    for machine in ("arm-00000002", "arm-00000001", MACHINE):
        save(Store(store.folder, machine), name=series(session(quality=len(machine))))
    save(Store(store.folder, "arm-00000002"), arm=series(session()))
    (store.folder / "README.md").write_text("not a machine")
    found = store.elsewhere(key())
    assert found is not None
    assert list(found.measurements) == ["arm"]
    assert store.elsewhere(key("test_other")) is None


def test_a_baseline_of_another_machine_is_read_once(store: Store) -> None:
    """Each look at a measurement asks for it."""
    file = save(Store(store.folder, "arm-1234abcd"))
    found = store.elsewhere(key())
    file.unlink()
    assert found is not None
    assert store.elsewhere(key()) is found


def orphans(store: Store, *collected: TestKey) -> list[str]:
    """Return the tests of the orphans in a run that collected these tests."""
    return [found.test.name for found in store.orphans(collected)]


def test_a_parameter_that_no_test_has_is_an_orphan(store: Store) -> None:
    """A baseline under a param id that was not collected may be of a renamed test."""
    for test in (key(param="old"), key(param="kept")):
        save(store, test)
    assert orphans(store, key(param="new"), key(param="kept")) == ["test_parse[old]"]


def test_a_run_of_selected_tests_has_no_orphans(store: Store) -> None:
    """The tests that it did not collect are unknown."""
    save(store, key(param="old"))
    assert orphans(store) == []


def test_a_file_that_was_moved_is_no_orphan(store: Store) -> None:
    """After the advised `git mv`, the file belongs to the new test."""
    old = save(store, key(param="old"))
    old.rename(store.path(key(param="new")))
    again = Store(store.folder, MACHINE)
    assert again.load(key(param="new")) == baseline(key(param="old"))
    assert orphans(again, key(param="new")) == []


# --- damaged and newer files -----------------------------------------------------------------

DAMAGED = {
    "empty": b"",
    "cut off": encode(baseline())[:-20],
    "no JSON": b"a line\n",
    "zeros": bytes(300),
    "UTF-16": encode(baseline()).decode().encode("utf-16"),
    "round without a counter": encode(baseline()).replace(
        b'"energy_uj": {"cpu:0": ', b'"energy_uj": {"gpu:0": ', 1
    ),
    "no domain": re.sub(rb'"domains": \[.*?\]', b'"domains": []', encode(baseline()), flags=re.S),
    "negative anchor": encode(baseline()).replace(b'"call": {"cpu:0": 2', b'"call": {"cpu:0": -2'),
    "huge number": re.sub(rb'"cpu:0": \d+', b'"cpu:0": 1' + b"0" * 400, encode(baseline())),
    "tiny units": encode(baseline(call=series(session([a_round(units={"token": 1})])))).replace(
        b'"token": 1', b'"token": 1e-310'
    ),
    "no object": b"[]\n",
    "no schema": b"{}\n",
    "no UTF-8": encode(baseline()).replace(b"test_parse", b"test_\xff"),
    "too deep": b'{"schema": 1, "x": ' + b"[" * 100_000,
    "null for a number": encode(baseline()).replace(b'"seconds": 0.1', b'"seconds": null'),
    "unknown field": encode(baseline()).replace(b'"schema"', b'"extra": 1,\n "schema"'),
    "no rounds": re.sub(rb'"rounds": \[.*?\](?=\s*,\s*"run")', b'"rounds": []',
                        encode(baseline()), flags=re.S),
}  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_refused_and_never_overwritten(store: Store, data: bytes) -> None:
    """Reading and saving raise one line with the file and the fix."""
    path = save(store)
    assert data != path.read_bytes()
    path.write_bytes(data)
    fresh = Store(store.folder, MACHINE)
    for act in (fresh.sample, lambda: fresh.load(key()), lambda: save(fresh), lambda: read(path)):
        message = refusal(act)
        assert message.startswith(f"{path}: damaged (")
        assert message.endswith(
            f": restore it (git checkout -- {path}), or delete it and save again"
        )
        assert "\n" not in message
    assert path.read_bytes() == data
    assert all_files(store.folder) == [str(path.relative_to(store.folder))]


def test_a_newer_file_is_refused_and_never_overwritten(store: Store) -> None:
    """A file of a newer schema needs an upgrade, whatever else is in it."""
    path = save(store)
    data = b'{"schema": %d, "sessions": "in some new way"}' % (SCHEMA + 1)
    path.write_bytes(data)
    fresh = Store(store.folder, MACHINE)
    for act in (fresh.sample, lambda: save(fresh)):
        assert refusal(act) == (
            f"{path}: written by a newer pytest-greenops (schema {SCHEMA + 1}, this version reads "
            f"up to {SCHEMA}): pip install -U pytest-greenops"
        )
    assert path.read_bytes() == data


CONFLICT = b"<<<<<<< HEAD\n{}\n=======\n[]\n>>>>>>> theirs\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            CONFLICT,
            "in a merge conflict: keep one side: git checkout --ours -- {path} (or --theirs), then "
            "git add -- {path}; if the markers are committed, delete it and save again",
        ),
        (CONFLICT.replace(b"\n", b"\r\n"), "in a merge conflict: keep one side: "),
        (POINTER, "a Git LFS pointer, not its content: git lfs pull"),
    ],
)
def test_what_git_leaves_is_named(store: Store, data: bytes, message: str) -> None:
    """The advised command is quoted, since `[` is a pattern in a shell."""
    path = save(store, key(param="0"))
    path.write_bytes(data)
    said = refusal(Store(store.folder, MACHINE).sample)
    assert said.startswith(f"{path}: " + message.format(path=f"'{path}'"))
    assert path.read_bytes() == data


def test_a_byte_order_mark_and_other_line_ends_are_read(store: Store) -> None:
    """Editors and Git's `autocrlf` add them."""
    path = save(store)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert Store(store.folder, MACHINE).load(key()) == baseline()


# --- folders, links and special files ----------------------------------------------------------


def test_a_test_folder_may_be_called_like_a_baseline(store: Store) -> None:
    """Only a file can be a baseline."""
    test = key(module="v1.json/test_x.py")
    save(store, test)
    assert Store(store.folder, MACHINE).load(test) == baseline(test)
    assert len(survey(store.folder).baselines) == 1


def test_a_folder_in_place_of_a_baseline_is_refused(store: Store) -> None:
    """It is not treated as if there were no baseline."""
    path = store.path(key())
    path.mkdir(parents=True)
    assert refusal(lambda: store.load(key())) == (
        f"{path}: a folder where the baseline of test_parse belongs: move it away: mv {path} DIR"
    )


def make_pipe(path: Path) -> None:
    """Make a pipe that nobody writes to: reading it would wait for ever."""
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    """Make a socket that nobody listens to."""
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(path.parent)  # the name of a socket is short
        made.bind(path.name)
        os.chdir(here)


def make_large(path: Path) -> None:
    """Make a file of a terabyte that takes no space."""
    path.touch()
    os.truncate(path, 1 << 40)


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (make_pipe, "a pipe, not a file: move it away: mv {} DIR"),
    "socket": (make_socket, "cannot be read (No such device or address): "),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a device, not a file: "),
    "loop": (lambda path: path.symlink_to(path), "cannot be read (Too many levels of symbolic "),
    "nowhere": (
        lambda path: path.symlink_to("gone"),
        "a link that leads nowhere: restore its target, or remove it: rm {}",
    ),
    "folder": (lambda path: path.with_name("y").symlink_to("gone"), "a link that leads nowhere: "),
    "large": (make_large, "larger than 64 MiB: remove it: rm {}"),
}


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_not_a_file_is_refused(store: Store, kind: str) -> None:
    """It is named at once, without waiting for it and without reading all of it."""
    make, message = SPECIAL[kind]
    path = store.path(key())
    path.parent.mkdir(parents=True)
    make(path)
    said = refusal(store.sample)
    assert said.removeprefix(f"{path.parent}/").split(": ", 1)[1].startswith(message.format(path))
    [line] = survey(store.folder).damaged
    assert line == said


def test_a_linked_folder_is_read_and_never_written_through(store: Store, tmp_path: Path) -> None:
    """It may lead out of the project; the advised command makes a copy."""
    path = save(store)
    outside = tmp_path / "out side"
    path.parent.rename(outside)
    path.parent.symlink_to(outside)
    again = Store(store.folder, MACHINE)
    assert again.load(key()) == baseline()
    said = refusal(lambda: save(again, other=series(session())))
    assert said.startswith(f"{path.parent}: a link, and nothing is saved through it: ")
    subprocess.run(said.split("a copy: ")[1], shell=True, check=True)
    save(again, other=series(session()))
    assert not path.parent.is_symlink()
    assert read(outside / path.name) == baseline()


def test_a_linked_machine_is_refused_before_measuring(store: Store, tmp_path: Path) -> None:
    """Its folder may lead out of the project."""
    store.folder.mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (store.folder / MACHINE).symlink_to(tmp_path / "outside")
    assert ": a link, and nothing is saved through it: " in refusal(store.check_writable)


def test_a_linked_file_is_replaced_and_its_target_kept(store: Store, tmp_path: Path) -> None:
    """A link leads to data of somebody else."""
    path = save(store)
    target = path.rename(tmp_path / "target.json")
    path.symlink_to(target)
    assert Store(store.folder, MACHINE).load(key()) == baseline()
    save(store, other=series(session()))
    assert not path.is_symlink()
    assert read(target) == baseline()


def test_a_linked_folder_of_baselines_whose_target_is_missing_is_refused(store: Store) -> None:
    """The disk that it leads to may not be mounted."""
    store.folder.parent.symlink_to("gone")
    assert refusal(store.sample) == (
        f"{store.folder.parent}: a link that leads nowhere: restore its target, or remove it: "
        f"rm {store.folder.parent}"
    )


def test_folders_that_lead_to_themselves_are_read_once(store: Store) -> None:
    """A link to a folder above it has nothing new."""
    path = save(store)
    (path.parent / "again").symlink_to(path.parent)
    assert list(Store(store.folder, MACHINE).files()) == [path]


def test_what_a_system_leaves_beside_files_is_ignored(store: Store) -> None:
    """macOS keeps attributes in `._NAME` on a foreign disk; Emacs locks by a link to no file."""
    path = save(store)
    (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (path.parent / f".#{path.name}").symlink_to("user@host.7")
    assert list(Store(store.folder, MACHINE).files()) == [path]


def test_a_file_that_is_removed_meanwhile_is_no_baseline(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may prune, or Git change the branch."""
    gone, kept = save(store), save(store, key("test_z"))
    scan = os.scandir

    def scan_then_remove(folder: str) -> Any:
        found = scan(folder)
        gone.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(os, "scandir", scan_then_remove)
    assert list(Store(store.folder, MACHINE).files()) == [kept]


def refused_as_nobody(folder: str) -> dict[str, str]:
    """Read baselines as a user without permissions, in a child process."""
    child.become_nobody()
    store = Store(Path(folder), MACHINE)
    survey_said = survey(Path(folder)).damaged if os.access(folder, os.R_OK) else ()
    return {"files": refusal(store.sample), "survey": "".join(survey_said)}


@pytest.mark.parametrize("part", ["", MACHINE, f"{MACHINE}/tests", f"{MACHINE}/tests/test_x.py"])
def test_a_folder_that_cannot_be_read_is_never_an_empty_one(folder: Path, part: str) -> None:
    """A regression may be inside: the run stops with the folder and the fix."""
    save(Store(folder, MACHINE))
    for each in folder.rglob("*"):
        each.chmod(0o777)
    (folder / part).chmod(0)
    answer = child.run(refused_as_nobody, str(folder))
    (folder / part).chmod(0o777)
    place = folder / (part or MACHINE)
    fix = fix_for_nobody(folder / part)
    assert answer["files"] == f"{place}: cannot be read (Permission denied): {fix}"
    if part:
        assert answer["survey"] == answer["files"]


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_broken_disk_is_no_empty_folder(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The advice is not about permissions."""
    path = save(store)

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", fail)
    assert refusal(Store(store.folder, MACHINE).sample) == (
        f"{path}: cannot be read ({os.strerror(number)}): check its disk or network drive, and run "
        "again"
    )


def test_a_file_in_place_of_the_folder_is_refused_for_reading(store: Store) -> None:
    """`--energy-baselines=FILE` is not an empty folder."""
    store.folder.parent.mkdir()
    store.folder.write_text("")
    assert refusal(store.sample) == (
        f"{store.folder}: a file, expected a folder of baselines: --energy-baselines=DIR"
    )


@pytest.mark.parametrize("taken", ["project", f"project/baselines/{MACHINE}"])
def test_a_file_in_place_of_an_inner_folder_is_refused(
    store: Store, tmp_path: Path, taken: str
) -> None:
    """The advised command names the file."""
    (tmp_path / taken).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / taken).touch()
    assert refusal(store.sample) == (
        f"{store.folder / MACHINE}: cannot be read (Not a directory): a file is where a folder "
        f"belongs: move it away: mv {tmp_path / taken} DIR"
    )


def test_another_machines_damaged_file_is_left_out_and_noted(store: Store) -> None:
    """It neither fails a test here nor blocks what is saved."""
    for machine in ("arm-00000001", "arm-00000002", "arm-00000003"):
        save(Store(store.folder, machine))
    store.path(key(), "arm-00000003").write_text("{")
    store.path(key(), "arm-00000002").write_text('{"schema": 99}')
    assert store.elsewhere(key()) == store.elsewhere(key()) == baseline()
    newer, damaged = map(store.notes.get, ("arm-00000002", "arm-00000003"))
    assert damaged
    assert newer
    assert damaged.startswith("not compared with another machine: ")
    assert "arm-00000003" in damaged
    assert "written by a newer pytest-greenops" in newer


# --- whole or not at all ---------------------------------------------------------------------


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_failed_write_keeps_the_old_file(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """At any step the old bytes stay, and no temporary file does."""
    path = save(store)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    if step == "write":
        fdopen = os.fdopen
        monkeypatch.setattr(
            os,
            "fdopen",
            lambda handle, mode: (
                _Unwritable(handle, fail) if mode == "wb" else fdopen(handle, mode)
            ),
        )
    else:
        monkeypatch.setattr(os, step, fail)
    assert refusal(lambda: save(store, other=series(session()))) == (
        f"{path}: cannot be written (Input/output error): {UNWRITABLE_FIX}"
    )
    assert path.read_bytes() == before
    assert all_files(store.folder) == [str(path.relative_to(store.folder))]
    assert store.load(key()) == baseline()


class _Unwritable:
    """A file whose writes fail."""

    def __init__(self, handle: int, fail: Callable[..., None]) -> None:
        self._handle = handle
        self.write = fail

    def __enter__(self) -> _Unwritable:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def test_a_machine_on_another_disk_is_written_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder may be a mount: then the temporary file is beside the baseline."""
    replaced: list[Path] = []
    move = os.replace

    def move_within_a_folder(source: Path, target: Path) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replaced.append(target)
        move(source, target)

    monkeypatch.setattr(os, "replace", move_within_a_folder)
    path = save(store)
    assert replaced == [path]
    assert read(path) == baseline()
    assert all_files(store.folder) == [str(path.relative_to(store.folder))]


def test_a_file_system_of_a_fixture_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pyfakefs's `fs_module` keeps in memory would be lost in silence."""
    monkeypatch.setattr(os, "replace", lambda source, target: None)
    assert refusal(lambda: save(store)) == (
        f"{store.path(key())}: not written: a fixture of the module or the session replaces the "
        "file system: use one of the function, as pyfakefs's fs"
    )


def test_an_interrupted_write_leaves_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C propagates, and cleans up like an error."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "results.json", b"{}")
    assert all_files(tmp_path) == []


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """A file that is rewritten repeatedly is whole at each read."""
    path = tmp_path / "file"
    versions = [bytes([letter]) * 200_000 for letter in b"ab"]
    write_whole(path, versions[0])
    done = threading.Event()

    def write() -> None:
        for number in range(40):
            write_whole(path, versions[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= set(versions)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_link_or_pipe_is_written_to_and_kept(tmp_path: Path, kind: str) -> None:
    """`--energy-json /dev/stdout` does not replace the device by a file."""
    path, target = tmp_path / "out", tmp_path / "target"
    if kind == "link":
        target.write_bytes(b"old")
        path.symlink_to(target)
        write_whole(path, b"new")
        assert path.is_symlink()
        assert target.read_bytes() == b"new"
        return
    os.mkfifo(path)
    read_end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(path, b"new")
        assert path.is_fifo()
        assert os.read(read_end, 10) == b"new"
    finally:
        os.close(read_end)


# --- no space, no permission ------------------------------------------------------------------


def in_own_mounts(act: Callable[[str], dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Call a function of this module on an empty folder, in a process with its own mounts."""
    code = f"import json; from {__name__} import {act.__name__} as act; "
    code += f"print(json.dumps(act({str(folder)!r})))"
    ran = subprocess.run([*UNSHARE, sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def mount(folder: str, options: str) -> None:
    """Mount a small tmpfs over a folder, for this process only."""
    outer = Path(f"/proc/{os.getppid()}/ns/mnt").readlink()
    assert Path("/proc/self/ns/mnt").readlink() != outer
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    subprocess.run(command, check=True, capture_output=True)


def save_on_a_full_disk(folder: str) -> dict[str, Any]:
    """Save, fill the disk, and save again."""
    mount(folder, "size=64k")
    store = Store(Path(folder, "baselines"), MACHINE)
    path = save(store)
    before = path.read_bytes()
    disk = os.statvfs(folder)
    Path(folder, "filler").write_bytes(bytes(disk.f_bavail * disk.f_frsize))
    large = {f"m{number}": series(session()) for number in range(40)}
    message = refusal(lambda: save(store, key(), **large))
    return {
        "message": message,
        "kept": path.read_bytes() == before,
        "files": all_files(Path(folder)),
        "path": str(path),
    }


def save_on_a_read_only_disk(folder: str) -> dict[str, Any]:
    """Check whether a read-only folder is writable, and try to save there."""
    mount(folder, "size=64k")
    store = Store(Path(folder), MACHINE)
    path = save(store)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True, capture_output=True)
    return {
        "asked": refusal(store.check_writable),
        "saved": refusal(lambda: save(store, key("test_other"))),
        "read": Store(Path(folder), MACHINE).load(key()) == baseline(),
        "files": all_files(Path(folder)),
        "path": str(path),
    }


def why_no_mounts() -> str | None:
    """Return why no process can have its own mounts here, or None."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "mounting a small disk needs root on Linux"
    test = [*UNSHARE, "sh", "-c", "mount -t tmpfs tmpfs /tmp"]
    try:
        tried = subprocess.run(test, capture_output=True, text=True)
    except FileNotFoundError:
        return "mounting a small disk needs unshare of util-linux"
    return f"no disk can be mounted here: {tried.stderr.strip()}" if tried.returncode else None


NO_MOUNTS = why_no_mounts()
needs_mounts = pytest.mark.skipif(NO_MOUNTS is not None, reason=str(NO_MOUNTS))


@needs_mounts
def test_a_full_disk_keeps_the_old_file(folder: Path) -> None:
    """Only the old baseline stays, and the message says why."""
    answer = in_own_mounts(save_on_a_full_disk, folder)
    assert answer["message"] == (
        f"{answer['path']}: cannot be written (No space left on device): {UNWRITABLE_FIX}"
    )
    assert answer["kept"]
    assert answer["files"] == [os.path.relpath(answer["path"], folder), "filler"]


@needs_mounts
def test_a_read_only_disk_is_refused_before_measuring(folder: Path) -> None:
    """Baselines can be read from it; checking and saving raise an error."""
    answer = in_own_mounts(save_on_a_read_only_disk, folder)
    assert answer["asked"] == (
        f"{folder}: cannot be written (Read-only file system): {UNWRITABLE_FIX}"
    )
    assert answer["saved"].startswith(str(folder))
    assert "cannot be written (Read-only file system)" in answer["saved"]
    assert answer["read"]
    assert answer["files"] == [os.path.relpath(answer["path"], folder)]


def fix_for_nobody(path: Path) -> str:
    """Return the fix for a file of this user, as `child.become_nobody` gets it."""
    if os.geteuid() != 0:  # nobody is this user
        return f"fix the permissions: chmod -R u+rwX {path}"
    return (
        "ask its owner (root) for a GROUP that you share: "
        f"chgrp -R GROUP {path} && chmod -R g+rwX {path}"
    )


def save_as_nobody(folder: str) -> dict[str, Any]:
    """Try to save as a user without permissions, in a child process."""
    child.become_nobody()
    store = Store(Path(folder), MACHINE)
    return {
        "asked": refusal(store.check_writable),
        "saved": refusal(lambda: save(store)),
        "files": all_files(Path(folder)),
    }


def test_a_folder_without_permission_is_refused(folder: Path) -> None:
    """Nothing is written, and the message has the folder and the fix."""
    folder.chmod(0o555)
    answer = child.run(save_as_nobody, str(folder))
    assert answer["asked"] == (
        f"{folder}: cannot be written (Permission denied): {fix_for_nobody(folder)}, or use "
        "another folder: --energy-baselines=DIR"
    )
    assert "cannot be written (Permission denied)" in answer["saved"]
    assert answer["files"] == []


def save_as_a_user_without_a_name(folder: str) -> list[str]:
    """Save as a user that no list of users has, in a child process."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        os.environ.pop(name, None)
    os.setgroups([])
    os.setgid(54321)
    os.setuid(54321)
    save(Store(Path(folder), MACHINE))
    return all_files(Path(folder))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_a_user_without_a_name_can_save(folder: Path) -> None:
    """That happens in containers."""
    files = child.run(save_as_a_user_without_a_name, str(folder))
    assert files == [f"{MACHINE}/tests/test_x.py/test_parse.json"]


def test_a_writable_folder_is_left_empty(store: Store) -> None:
    """The check creates the folder, and leaves nothing in it."""
    for asked in (store, Store(store.folder / "a" / "b", MACHINE)):
        for _ in ("the first time", "once more"):
            asked.check_writable()
        assert all_files(asked.folder) == []


def test_a_file_in_place_of_the_folder_is_refused(store: Store) -> None:
    """A file instead of a folder is found before anything is measured."""
    store.folder.parent.mkdir()
    store.folder.write_text("")
    assert refusal(store.check_writable).startswith(
        f"{store.folder}: cannot be written (File exists):"
    )


def test_removing_a_baseline_keeps_its_neighbours(store: Store) -> None:
    """Only folders that become empty go, and never that of all baselines."""
    one, other = save(store), save(store, key("test_other"))
    store.remove(one)
    assert all_files(store.folder) == [str(other.relative_to(store.folder))]
    store.remove(other)
    assert os.listdir(store.folder) == [".saving"]


def test_what_may_not_be_written_or_removed_has_a_fix(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the folder whose permissions are in the way."""
    path = save(store)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    fix = f"fix the permissions: chmod -R u+rwX {path.parent}"
    monkeypatch.setattr(os, "unlink", refuse)
    assert refusal(lambda: store.remove(path)) == (
        f"{path}: cannot be removed (Permission denied): {fix}"
    )
    monkeypatch.setattr(os, "replace", refuse)
    assert refusal(lambda: save(store)) == (
        f"{path}: cannot be written (Permission denied): {fix}, or use another folder: "
        "--energy-baselines=DIR"
    )


def test_the_folder_of_the_machine_is_tried_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a mount of its own."""
    mine = store.path(key()).parents[1].parent
    save(store)
    temporary_file = tempfile.TemporaryFile

    def refuse(**given: Any) -> Any:
        if given["dir"] == mine:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return temporary_file(**given)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert refusal(store.check_writable) == (
        f"{mine}: cannot be written (Read-only file system): {UNWRITABLE_FIX}"
    )


def test_a_damaged_file_of_an_earlier_name_is_of_nobody(store: Store) -> None:
    """Whose it was cannot be read: the test has a file of its own."""
    test = key("test_x", param="y" * 200)
    path = store.path(test)
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.stem[:-10]}.json").write_text("{")
    assert Store(store.folder, MACHINE).path(test) == path


def test_types_are_known_before_a_test_leaves_no_module(
    store: Store,
) -> None:
    """A baseline is decoded although the modules of its types are not loaded any more."""
    path = save(store)
    code = (
        "import sys; from pathlib import Path; "
        "from pytest_greenops.baselines.baseline_file import read; "
        "[sys.modules.pop(name) for name in list(sys.modules) if 'greenops' in name]; "
        "print(read(Path(sys.argv[1])).schema)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("1\n", "")


class TestOfVeryManyFiles:
    """A store with more files than say what a suite shares."""

    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
        """The files that were read, in a store of which three files are a sample."""
        read: list[Path] = []

        def noted(path: Path) -> bytes | None:
            read.append(path)
            return read_data(path)

        monkeypatch.setattr(file_tree, "SAMPLE", 3)
        monkeypatch.setattr(known_files, "read_data", noted)
        return read

    @pytest.fixture
    def stored(self, store: Store) -> Store:
        """A store that knows none of its ten files."""
        for n in range(10):
            save(store, key(f"test_{n}"))
        return Store(store.folder, MACHINE)

    def test_only_a_sample_and_those_of_the_tests_that_run_are_read(
        self, stored: Store, read: list[Path]
    ) -> None:
        """Each is read once; how many there are is known all the same."""
        sample = list(stored.sample())
        assert (len(sample), len(stored.files()), read) == (3, 10, sample)
        tests = [key(f"test_{n}") for n in range(10)]
        running = [test for test in tests if stored.path(test) not in sample]
        stored.prepare([*running[:2], key("test_new")])
        assert read[3:] == [stored.path(test) for test in running[:2]]
        assert stored.load(running[0]) == baseline(running[0])
        assert len(read) == 5

    def test_a_sample_is_the_same_whichever_tests_run(
        self, stored: Store, read: list[Path]
    ) -> None:
        """It depends on the names of the files, not on what is read before."""
        again = Store(stored.folder, MACHINE)
        again.prepare([key("test_7")])
        assert list(again.sample()) == list(stored.sample())

    def test_a_sample_stays_as_it_was_read(self, stored: Store, read: list[Path]) -> None:
        """What is saved later does not change it."""
        sample = stored.sample()
        [path, *_] = sample
        before = sample[path]
        save(stored, before.test, other=series(session()))
        assert sample[path] == before != stored.load(before.test)

    def test_a_damaged_file_stops_only_a_run_that_needs_it(
        self, stored: Store, read: list[Path]
    ) -> None:
        """It is one of a test that runs."""
        sample = stored.sample()
        other = next(path for path in stored.files() if path not in sample)
        other.write_text("{")
        tests = [key(f"test_{n}") for n in range(10)]
        stored.prepare(test for test in tests if stored.path(test) != other)
        assert "damaged" in refusal(lambda: stored.prepare(tests))

    def test_a_file_that_is_gone_is_no_baseline(self, stored: Store, read: list[Path]) -> None:
        """It was removed since the files were listed."""
        assert len(stored.files()) == 10
        stored.path(key("test_1")).unlink()
        assert stored.load(key("test_1")) is None

    def test_orphans_are_sought_among_files_of_other_tests(
        self, stored: Store, read: list[Path]
    ) -> None:
        """Those of collected tests are not read for that."""
        collected = {key(f"test_{n}") for n in range(9)}
        assert [orphan.test for orphan in stored.orphans(collected)] == [key("test_9")]
        assert len(read) == 1
