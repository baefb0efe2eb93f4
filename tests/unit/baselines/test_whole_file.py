"""Files that are written whole or not at all, wherever their path leads."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_greenops.baselines.whole_file import (
    check_writable,
    damage,
    replace,
    saving_to,
    unreadable,
    write_whole,
)


def test_a_linked_file_is_replaced_whole_where_it_is(tmp_path: Path) -> None:
    """The link stays, and a reader of its target never sees half a file."""
    target, link = tmp_path / "target", tmp_path / "sub" / "link"
    link.parent.mkdir()
    target.write_bytes(b"old")
    inode = target.stat().st_ino
    link.symlink_to("../target")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert target.stat().st_ino != inode


def test_a_standard_stream_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`> out.txt` keeps what is written to `/dev/stdout`."""
    with (tmp_path / "out.txt").open("wb") as out:
        write_whole(Path(f"/dev/fd/{out.fileno()}"), b"results")
        assert os.path.samestat(os.fstat(out.fileno()), (tmp_path / "out.txt").stat())
    assert (tmp_path / "out.txt").read_bytes() == b"results"


def test_a_log_keeps_what_is_before_and_after(tmp_path: Path) -> None:
    """A report to `/dev/stdout`, which is a file, stands between the other lines."""
    program = (
        "import os; from pathlib import Path;"
        "from pytest_greenops.baselines.whole_file import write_whole;"
        "os.write(1, b'before, ');"
        "write_whole(Path('/dev/stdout'), b'report, '); write_whole(Path('/dev/stderr'), b'x');"
        "os.write(1, b'after')"
    )
    for mode in ("wb", "ab"):
        with (tmp_path / "log").open(mode) as log:
            subprocess.run([sys.executable, "-c", program], stdout=log, check=True)
    assert (tmp_path / "log").read_bytes() == b"before, report, after" * 2


def test_a_circle_of_links_is_an_error(tmp_path: Path) -> None:
    """It is found before anything is written."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for act in (check_writable, lambda path: write_whole(path, b"")):
        with pytest.raises(OSError, match="symbolic links") as raised:
            act(tmp_path / "a")
        assert raised.value.errno == errno.ELOOP


def test_old_temporary_files_of_killed_writers_are_removed(tmp_path: Path) -> None:
    """Those of a writer at work, and of other files, stay."""
    path = tmp_path / "results.json"
    for name in ("old", "new"):
        (tmp_path / f".results-{name}.greenops-tmp").touch()
    (tmp_path / ".other-old.greenops-tmp").touch()
    for old in tmp_path.glob(".*-old*"):
        os.utime(old, (1, 1))
    write_whole(path, b"{}")
    assert sorted(os.listdir(tmp_path)) == [
        ".other-old.greenops-tmp",
        ".results-new.greenops-tmp",
        "results.json",
    ]


def test_a_check_finds_a_disk_without_place(tmp_path: Path) -> None:
    """A disk that takes a name and no content is an error before there is something to write."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            check_writable(tmp_path / "report.json")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [*tmp_path.iterdir()] == []


def test_a_check_leaves_nothing(tmp_path: Path) -> None:
    """It makes the folder, and no file."""
    check_writable(tmp_path / "new" / "sub" / "results.json")
    assert list((tmp_path / "new" / "sub").iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "command"),
    [
        ("baselines", "pytest --energy-save"),
        ("my base", "pytest --energy-save --energy-baselines='my base'"),
    ],
)
def test_the_command_that_saves_names_any_folder_but_the_usual_one(
    folder: str, command: str
) -> None:
    """It can be pasted."""
    assert saving_to(Path(folder)) == command


def test_a_folder_in_place_of_a_report_is_found_before(tmp_path: Path) -> None:
    """The error is that of a write."""
    with pytest.raises(IsADirectoryError) as raised:
        check_writable(tmp_path)
    assert (raised.value.errno, raised.value.strerror) == (errno.EISDIR, "Is a directory")


def test_a_device_is_asked_whether_it_takes_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written to it."""
    check_writable(Path("/dev/null"))
    monkeypatch.setattr(os, "access", lambda path, mode: (str(path), mode) != ("/dev/null", 2))
    with pytest.raises(PermissionError) as raised:
        check_writable(Path("/dev/null"))
    assert (raised.value.errno, raised.value.strerror) == (errno.EACCES, "Permission denied")


@pytest.mark.parametrize("descriptor", [1, 2])
def test_a_standard_stream_is_not_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descriptor: int
) -> None:
    """Both would write at their own place of the file behind it."""
    named = tmp_path / "stream"
    os.mkfifo(named)
    reads = os.open(named, os.O_RDONLY | os.O_NONBLOCK)
    writes, kept, opened = os.open(named, os.O_WRONLY), os.dup(descriptor), os.open
    os.dup2(writes, descriptor)
    try:
        monkeypatch.setattr(os, "open", None)
        write_whole(named, b"results")
    finally:
        monkeypatch.setattr(os, "open", opened)
        os.dup2(kept, descriptor)
        for handle in (writes, kept):
            os.close(handle)
    assert os.read(reads, 99) == b"results"
    os.close(reads)


@pytest.mark.parametrize(
    ("number", "fix"),
    [
        (errno.EACCES, "fix the permissions: chmod -R u+rwX '{}'"),
        (errno.EPERM, "fix the permissions: chmod -R u+rwX '{}'"),
        (errno.ELOOP, "remove this link, which leads to itself: rm '{}'"),
        (errno.ENAMETOOLONG, "use a shorter path"),
        (errno.ENOTDIR, "a file is where a folder belongs: move it away: mv '{}' DIR"),
        (errno.EMFILE, "allow more open files: ulimit -n 4096"),
        (errno.ENFILE, "allow more open files: ulimit -n 4096"),
        (errno.EIO, "check its disk or network drive, and run again"),
    ],
)
def test_what_cannot_be_read_has_a_fix_for_its_reason(
    tmp_path: Path, number: int, fix: str
) -> None:
    """The path is quoted for a shell."""
    path = tmp_path / "a[b].json"
    problem = unreadable(path, OSError(number, os.strerror(number)))
    assert problem.why == f"cannot be read ({os.strerror(number)})"
    assert problem.fix == fix.format(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "damaged (it is empty)"),
        (bytes(3), "damaged (it contains only zero bytes)"),
        ("{}".encode("utf-16-le"), "damaged (no object)"),
        (b"\xff\xfe{\0", "damaged (it is UTF-16, expected UTF-8)"),
        (b"\xfe\xff\0{", "damaged (it is UTF-16, expected UTF-8)"),
        (b"[]", "damaged (no object)"),
    ],
)
def test_what_is_damaged_says_what_it_is(data: bytes, why: str) -> None:
    """What a decoder finds wrong with zeros or UTF-16 says less than that."""
    problem = damage(Path("a[b].json"), data, ValueError("no object"))
    fix = "restore it (git checkout -- 'a[b].json'), or delete it and save again"
    assert (problem.why, problem.fix, str(problem)) == (why, fix, f"{why}: {fix}")


def test_a_file_is_written_with_its_folders(tmp_path: Path) -> None:
    """`--energy-json build/reports/energy.json` needs no mkdir."""
    path = tmp_path / "new" / "sub" / f"{'n' * 30}.json"
    old = path.with_name(f".{'n' * 20}-old.greenops-tmp")
    write_whole(path, b"{}")
    old.touch()
    os.utime(old, (1, 1))
    write_whole(path, b"{}")
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("named", ["/dev/fd", "/proc/self/fd"])
def test_what_stands_in_a_redirected_file_stays(tmp_path: Path, named: str) -> None:
    """A report is added to it, whichever of its names is given."""
    with (tmp_path / "log").open("wb", buffering=0) as log:
        log.write(b"before, ")
        write_whole(Path(named, str(log.fileno())), b"report")
    assert (tmp_path / "log").read_bytes() == b"before, report"


def test_nothing_is_written_through_a_planted_temporary_file(tmp_path: Path) -> None:
    """Somebody may have made a link of that name in a folder of several users."""
    (tmp_path / "mine").write_text("mine")
    planted = tmp_path / "temporary"
    planted.symlink_to("mine")
    with pytest.raises(FileExistsError):
        replace(tmp_path / "x.json", b"{}", planted)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "x.json").exists()
