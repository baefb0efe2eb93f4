"""`pytest-greenops import`: results of other tools beside ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pytest_greenops.commands.import_files import by_test
from pytest_greenops.model.imported import OURS, Recording, Source
from tests.integration.commands import refused, run
from tests.integration.projects import INI, Project, conftest, fill, run_outside

DATA = Path(__file__).parents[1] / "data"
TESTS = """
    import pytest

    def test_parse(energy, work):
        energy(work)

    @pytest.mark.parametrize("size", [10])
    def test_sort(energy, spend, size):
        energy.named("up")(spend, 0.5)
        energy.named("down")(spend, 0.25)

    def test_only_ours(energy, work):
        energy(work)
"""


@pytest.fixture(scope="module")
def files_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that `files` copies."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "tests").mkdir()
    fill(
        folder,
        {"pytest.ini": INI, "conftest.py": conftest(), "tests/test_parse.py": TESTS},
    )
    run_outside(folder, "--energy-save", "--energy-json=results.json")
    for each in DATA.iterdir():
        shutil.copy(each, folder)
    return folder


@pytest.fixture
def files(project: Project, files_folder: Path) -> Path:
    """Return a folder with our results and baselines, and a file by each other tool."""
    project.copy(files_folder)
    return project.path


def test_figures_of_other_tools_stand_beside_ours(files: Path) -> None:
    """Each test has a row for each source; of the tests of ours only those that others have."""
    before = {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}
    names = ("pytest_benchmark.json", "pytest_energy_reporter.json", "codecarbon.csv")
    ran = run(files, "import", *names, "pytest_codecarbon.csv", "--results=results.json")
    assert (0, "") == (ran.code, ran.err)
    today = json.loads((files / "results.json").read_text())["created_at"][:10]
    assert ran.lines == [
        "energy: 1 is pytest_benchmark.json: pytest-benchmark, 4 tests, 2026-11-29",
        "energy: 2 is pytest_energy_reporter.json: pytest-energy-reporter, 2 tests,",
        "2026-11-29",
        "energy: 3 is codecarbon.csv: codecarbon, 2 tests, 2026-11-29",
        "energy: 4 is pytest_codecarbon.csv: pytest-codecarbon, 2 tests, 2026-11-29",
        f"energy: 5 is results.json: pytest-greenops, 3 tests, {today}",
        "",
        "     date        min       median    energy",
        "── tests/test_parse.py ─────────────────────────────────",
        "test_parse",
        "  1  2026-11-29  32.0 µs   32.2 µs   -",
        "  2  2026-11-29  1.04 s    1.04 s    24.6 J",
        "  4  2026-11-29  -         1.18 s    28.1 J (7.81 mWh)",
        f"  5  {today}  100 ms    100 ms    2.00 J",
        "test_sort[10]",
        "  1  2026-11-29  0.163 µs  0.172 µs  -",
        f"  5  {today}  100 ms    100 ms    500 mJ  up",
        f"  5  {today}  100 ms    100 ms    250 mJ  down",
        "test_sort[1000]",
        "  1  2026-11-29  10.1 µs   10.1 µs   -",
        "TestDump::test_dump",
        "  1  2026-11-29  1.05 µs   1.08 µs   -",
        "TestDump::test_dump[10]",
        "  2  2026-11-29  1.01 s    1.04 s    22.7 J",
        "  4  2026-11-29  -         -         28.1 J (7.81 mWh)",
        "── other names ─────────────────────────────────────────",
        "train",
        "  3  2026-11-29  -         2.01 s    54.7 J (15.2 mWh)",
        "evaluate",
        "  3  2026-11-29  -         2.00 s    56.1 J (15.6 mWh)",
        "",
        "energy: 4: left out, since no time or energy is like this: time of",
        "test_dump[10]: -0.172446",
        "energy: 7 tests of 4 files, 2 of them also ours; nothing was saved: imported",
        "figures never become a baseline",
    ]
    assert before == {path: path.read_bytes() for path in files.rglob("*") if path.is_file()}


def test_baselines_are_ours_too(files: Path) -> None:
    """Without --results, the baselines of the folder are shown, machine by machine."""
    ran = run(files, "import", "pytest_benchmark.json")
    [machine] = (each.name for each in (files / "baselines").iterdir() if each.name[0] != ".")
    assert f"energy: 2 is baselines/{machine}: pytest-greenops, 3 tests, " in " ".join(ran.lines)
    assert any(line.startswith("  2  ") and line.endswith("2.00 J") for line in ran.lines)
    shutil.move(files / "baselines", files / "others")
    assert "energy: 2 is" not in run(files, "import", "pytest_benchmark.json").out
    ran = run(files, "import", "pytest_benchmark.json", "--baselines=others")
    assert f"energy: 2 is others/{machine}: pytest-greenops" in " ".join(ran.lines)
    said = refused(files, "import", "pytest_benchmark.json", "--baselines=none")
    assert said.startswith("none: no such folder")


def test_json(files: Path) -> None:
    """Programs get the sources, and by test the recordings in seconds and joules."""
    ran = run(files, "import", "codecarbon.csv", "pytest_benchmark.json", "--json")
    document = json.loads(ran.out)
    assert ["codecarbon", "pytest-benchmark", "pytest-greenops"] == [
        source["format"] for source in document["sources"]
    ]
    assert [
        {
            "source": 1,
            "name": "train",
            "at": "2026-11-29T13:07:52",
            "median_s": 2.01298,
            "joules": 54.7193,
            "kwh": 1.51998e-05,
        }
    ] == document["tests"]["train"]
    assert [2, 3] == [
        each["source"] for each in document["tests"]["tests/test_parse.py::test_parse"]
    ]


def test_many_runs_of_a_program(files: Path) -> None:
    """Of one name the last ten runs of a file are shown, and how many are before them."""
    rows = [f"2026-01-{day:02},train,{day},1,0.001" for day in range(1, 31)]
    header = "timestamp,project_name,duration,emissions,energy_consumed"
    (files / "emissions.csv").write_text("\n".join([header, *rows]))
    ran = run(files, "import", "emissions.csv").lines
    begun = ran.index("train")
    assert ran[begun + 1 : begun + 3] == [
        "  1  20 before",
        "  1  2026-01-21  -    21.0 s  3.60 kJ (1.00 Wh)",
    ]
    assert "energy: 1 is emissions.csv: codecarbon, 1 test, 2026-01-01 to 2026-01-30" in ran


def test_it_fits_40_columns_and_ascii(files: Path) -> None:
    """A narrow screen lacks dates and shortest times, and a plain one has ASCII."""
    sources = ("pytest_benchmark.json", "pytest_codecarbon.csv", "long.json")
    stats = {"min": 1, "median": 2}
    document = {"benchmarks": [{"fullname": f"a.py::{'name_' * 20}", "stats": stats}]}
    (files / "long.json").write_text(json.dumps(document))
    ran = run(
        files, "import", *sources, "--results=results.json", COLUMNS="40", PYTHONIOENCODING="ascii"
    )
    assert 0 == ran.code
    assert max(map(len, ran.lines)) <= 40
    assert ran.out.isascii()
    assert "  1  32.2 us   -" in ran.lines


def test_names_act_on_no_terminal(files: Path) -> None:
    """Names and paths are escaped."""
    name = "a.py::t\x1b[31m\x00\n##[error]\u202e\ud800"
    stats = {"min": 1, "median": -1}
    document = {"benchmarks": [{"fullname": name, "stats": stats}]}
    (files / "a\x1b.json").write_text(json.dumps(document))
    ran = run(files, "import", "a\x1b.json")
    assert (0, "") == (ran.code, ran.err)
    assert all(character.isprintable() for line in ran.lines for character in line)
    assert any(line.startswith("t\\x1b[31m\\x00\\n#\\x23[error]") for line in ran.lines)
    assert json.loads(run(files, "import", "a\x1b.json", "--json").out)["tests"]


def test_what_cannot_be_imported_is_one_line(files: Path) -> None:
    """A file that is missing, of an unknown format or ours is an error with exit status 2."""
    said = refused(files, "import", "none")
    assert said == "none: cannot be read (No such file or directory); name an existing file"
    said = refused(files, "import", "pytest.ini")
    assert said.startswith("pytest.ini: unknown format: expected ")
    said = refused(files, "import", "pytest_benchmark.json", "results.json")
    assert said.startswith("results.json: results of pytest-greenops, not of another tool; ")


OURS_HERE = (
    "bench/test_a.py::test_x",
    "bench/test_a.py::C::test_x[a/b]",
    "bench/test_b.py::test_y",
)


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("bench/test_a.py::test_x", "bench/test_a.py::test_x"),
        ("test_a.py::test_x", "bench/test_a.py::test_x"),
        ("project/bench/test_a.py::test_x", "bench/test_a.py::test_x"),
        ("test_x[a/b]", "bench/test_a.py::C::test_x[a/b]"),
        ("C::test_x[a/b]", "bench/test_a.py::C::test_x[a/b]"),
        ("test_y", "bench/test_b.py::test_y"),
        ("ch/test_a.py::test_x", "ch/test_a.py::test_x"),
        ("t_y", "t_y"),
        ("test_z", "test_z"),
    ],
)
def test_names_are_matched_with_test_ids(name: str, test: str) -> None:
    """A bare name, or a path from another root directory, is the only test that ends like it."""
    ours = Source("", OURS, tuple(map(Recording, OURS_HERE)))
    found = by_test([Source("", "other", (Recording(name),))], [ours])
    assert [test] == list(found)
    assert (2 if test in OURS_HERE else 1) == len(found[test])


def test_an_ambiguous_name_is_nobodys() -> None:
    """A name that two tests have stays as it is."""
    ours = Source("", OURS, tuple(map(Recording, ("a/test_a.py::t", "b/test_a.py::t"))))
    for name in ("t", "test_a.py::t"):
        found = by_test([Source("", "other", (Recording(name),))], [ours])
        assert {name: 1} == {test: len(rows) for test, rows in found.items()}
