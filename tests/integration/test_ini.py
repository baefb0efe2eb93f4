"""Each option has an ini twin `energy_*`; a value on the command line wins."""

from __future__ import annotations

import json
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.integration.projects import WORKS, Project, conftest

#: A value of each ini twin, and the option that it sets.
TWINS: dict[str, tuple[Any, Any]] = {
    "energy": (True, ("measure", True)),
    "energy_save_new": (True, ("save", "new")),
    "energy_baselines": ("accepted", ("baselines", "accepted")),
    "energy_max_increase": ("7%", ("max_increase", 0.07)),
    "energy_action": ("warn", ("action", "warn")),
    "energy_estimates": ("fail", ("estimates", "fail")),
    "energy_strict": (True, ("strict", True)),
    "energy_benchmarks": (True, ("benchmarks", True)),
    "energy_only": (True, ("only", True)),
    "energy_sensors": ("fake", ("sensors", ["fake"])),
    "energy_min_rounds": (4, ("min_rounds", 4)),
    "energy_max_rounds": (6, ("max_rounds", 6)),
    "energy_max_time": ("2 min", ("max_time_s", 120.0)),
    "energy_json": ("out.json", ("json", "out.json")),
    "energy_html": ("out.html", ("html", "out.html")),
    "energy_markdown": ("out.md", ("markdown", "out.md")),
    "energy_github": ("on", ("github", True)),
    "energy_carbon_intensity": ("400 g/kWh", ("carbon", 500.0)),
    "energy_pue": (1.25, ("carbon", 500.0)),
    "energy_cpu_watts": ("3 W", ("cpu_watts", 3.0)),
    "energy_session_sd": ("2%", ("session_sd", 0.02)),
    "energy_stable_memory": ("off", ("stable_memory", "off")),
    "energy_fresh_process": (False, ("fresh_process", False)),
}
#: The same options on the command line, with other values.
ARGUMENTS = {
    "--energy-baselines=others": ("baselines", "others"),
    "--energy-max-increase=9%": ("max_increase", 0.09),
    "--energy-action=fail": ("action", "fail"),
    "--energy-estimates=warn": ("estimates", "warn"),
    "--energy-sensors=fake,card": ("sensors", ["fake", "card"]),
    "--energy-min-rounds=2": ("min_rounds", 2),
    "--energy-max-rounds=3": ("max_rounds", 3),
    "--energy-max-time=5 s": ("max_time_s", 5.0),
    "--energy-json=other.json": ("json", "other.json"),
    "--energy-html=other.html": ("html", "other.html"),
    "--energy-markdown=other.md": ("markdown", "other.md"),
    "--energy-github=off": ("github", False),
    "--energy-carbon-intensity=100 g/kWh": ("carbon", 200.0),
    "--energy-pue=2": ("carbon", 200.0),
    "--energy-save": ("save", "all"),
    "--energy-skip": ("skip", True),
}
SHOW = """
    import json

    from pytest_greenops.plugin import OPTIONS

    CARD = FakeSensor(Domain("gpu:0", "gpu"), name="card")

    def pytest_energy_sensors(config):
        return [SENSOR, CARD]

    @pytest.hookimpl(trylast=True)
    def pytest_configure(config):
        options = config.stash[OPTIONS]._asdict()
        for name in ("baselines", "json", "html", "markdown"):
            options[name] = options[name] and options[name].name
        options["carbon"] = options["carbon"] and options["carbon"].grams(3.6e6)
        (config.rootpath / "options.json").write_text(json.dumps(options))
"""


def options(project: Project, *arguments: str) -> dict[str, Any]:
    """Return the options of a run."""
    file = project.path / "options.json"
    file.unlink(missing_ok=True)
    ran = project.run(*arguments)
    assert file.is_file(), ran.errors
    shown: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return shown


def as_string(value: Any) -> str:
    """Return a value as an ini file writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_strings_of_an_ini_file(project: Project) -> None:
    """Each twin applies as a string in pytest.ini; the command line overrides each."""
    project.write("conftest.py", conftest(more=SHOW))
    lines = [f"{name} = {as_string(value)}" for name, (value, _) in TWINS.items()]
    project.write("pytest.ini", "\n".join(["[pytest]", *lines]))
    set_to = dict(said for _, said in TWINS.values())
    assert options(project).items() >= set_to.items()
    shown = options(project, *ARGUMENTS)
    assert shown.items() >= dict(ARGUMENTS.values()).items()
    assert not shown["only"]


@pytest.mark.skipif(
    int(pytest.__version__.partition(".")[0]) < 9, reason="native TOML came with pytest 9"
)
def test_native_toml(project: Project) -> None:
    """Each twin applies in `[tool.pytest]` as a TOML value."""
    (project.path / "pytest.ini").unlink()
    project.write("conftest.py", conftest(more=SHOW))
    lines = [f"{name} = {json.dumps(value)}" for name, (value, _) in TWINS.items()]
    project.write("pyproject.toml", "\n".join(["[tool.pytest]", *lines]))
    set_to = dict(said for _, said in TWINS.values())
    assert options(project).items() >= set_to.items()
    assert options(project, *ARGUMENTS).items() >= dict(ARGUMENTS.values()).items()


def test_ini_can_save_and_measure(project: Project) -> None:
    """`energy_save` measures and saves in every run, without an option."""
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_save = true\n")
    project.write("test_it.py", WORKS)
    project.run()
    assert list(project.files()) == ["test_it.py/test_works.json"]


def test_a_report_of_the_ini_is_for_measured_runs(project: Project) -> None:
    """`energy_json` does not stop a run that measures nothing."""
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake\nenergy_json = out.json\n")
    project.write("test_it.py", WORKS)
    assert project.run().outcomes == {"passed": 1}
    assert not (project.path / "out.json").exists()
    assert project.run("--energy").outcomes == {"passed": 1}
    assert (project.path / "out.json").is_file()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("energy_max_increase = 5", "energy_max_increase: '5': expected a percentage, *"),
        ("energy_action = ignore", "energy_action: 'ignore': expected 'fail' or 'warn'"),
        ("energy_min_rounds = few", "energy_min_rounds: *'few'*"),
        ("energy_strict = perhaps", "energy_strict: *'perhaps'*"),
        ("energy_baselines =", "energy_baselines: '': expected a path"),
        ("energy_pue = low", "energy_pue: *'low'*"),
        ("energy_region = Nowhere", "energy_region: no carbon intensity is known for region *"),
        ("energy_skip = true\nenergy_only = true", "--energy-only and --energy-skip exclude *"),
    ],
)
def test_mistakes(project: Project, line: str, said: str) -> None:
    """A wrong ini value is a usage error of one line that names the ini option."""
    project.write("pytest.ini", f"[pytest]\n{line}\n")
    ran = project.run()
    assert ran.code == pytest.ExitCode.USAGE_ERROR
    [error] = ran.errors
    assert fnmatch(error, f"ERROR: {said}")
