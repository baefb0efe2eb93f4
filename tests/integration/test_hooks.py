"""The hooks that other plugins and a conftest.py may implement."""

from __future__ import annotations

from tests.integration.projects import ALONE, WORKS, Project


def test_sensors(project: Project) -> None:
    """`pytest_energy_sensors` adds the sensors of each implementation, and the run closes them."""
    project.write("pytest.ini", "[pytest]\nenergy_sensors = fake,rack\n")
    project.sensor(
        'Domain("cpu:0", "cpu")',
        more="""
        RACK = FakeSensor(Domain("gpu:0", "gpu"), name="rack")

        class Plugin:
            def pytest_energy_sensors(self, config):
                return [RACK]

        class Silent:
            def pytest_energy_sensors(self, config):
                return None

        @pytest.hookimpl(tryfirst=True)
        def pytest_configure(config):
            config.pluginmanager.register(Plugin())
            config.pluginmanager.register(Silent())

        @pytest.hookimpl(trylast=True)
        def pytest_unconfigure(config):
            print("closed:", SENSOR.closed, RACK.closed)

        @pytest.fixture
        def work():
            def work():
                SENSOR.spend(1.0)
                RACK.spend(2.0, "gpu:0")

            return work
        """,
    )
    project.write("test_it.py", WORKS)
    ran = project.energy()
    assert ran.energy_lines[0] == "sensed by fake (cpu:0), rack (gpu:0)"
    assert ran.results["test_works"].by_domain == {"cpu:0": 1.0, "gpu:0": 2.0}
    assert "closed: True True" in ran.lines


def test_facts(project: Project) -> None:
    """`pytest_energy_facts` adds facts to the fingerprint, in results and in baselines."""
    project.sensor(
        more="""
        def pytest_energy_facts(config):
            return {"rack": "7"}

        class Plugin:
            def pytest_energy_facts(self, config):
                return {"cooling": "water"}

        class Silent:
            def pytest_energy_facts(self, config):
                return None

        def pytest_configure(config):
            config.pluginmanager.register(Plugin())
            config.pluginmanager.register(Silent())
        """
    )
    project.write("test_it.py", WORKS)
    machine = project.save().document.environment.machine
    assert (machine["rack"], machine["cooling"]) == ("7", "water")
    assert project.baseline().machine == machine


def test_verdict(saved: Project) -> None:
    """`pytest_energy_verdict` gets each result before a red verdict fails its test."""
    saved.sensor(
        more="""
        def pytest_energy_verdict(item, result):
            print("seen:", item.name, result.name, result.verdict.outcome.value)
        """
    )
    named = "\n\ndef test_named(energy, work): energy.named('a')(work)\n"
    saved.write("test_it.py", WORKS + named + "\n\ndef test_no(): pass\n")
    ran = saved.energy("-s", *ALONE, joules=3.0)
    assert ran.outcomes == {"failed": 1, "passed": 2}
    text = ran.text
    assert text.count("seen:") == 2
    assert text.index("seen: test_works call regressed") < text.index("EnergyRegression")
    assert "seen: test_named a no baseline" in text


def test_verdict_may_fail_a_test(project: Project) -> None:
    """An exception of an implementation fails the test of the result."""
    project.sensor(
        more="""
        def pytest_energy_verdict(item, result):
            assert result.joules < 2.5, "a rule of our own"
        """
    )
    project.write("test_it.py", WORKS)
    assert project.energy(joules=2.0).outcomes == {"passed": 1}
    ran = project.save(joules=3.0)
    assert ran.outcomes == {"failed": 1}
    assert project.files() == {}


def test_a_sensor_with_mistakes_measures_nothing(project: Project) -> None:
    """The test passes as it would without `--energy`, and its verdict names the sensor."""
    project.sensor(
        more="""
        class Floats(FakeSensor):
            def read(self):
                return super().read()._replace(energy_uj=[0.5, 0.5])

        def pytest_energy_sensors(config):
            return [Floats()]
        """
    )
    project.write("test_it.py", WORKS)
    ran = project.energy()
    assert ran.outcomes == {"passed": 1}
    assert ran.verdicts == {"test_works": "not measured"}
    cause = ran.results["test_works"].verdict.cause
    assert cause
    assert "the sensor fake returned 0.5 for cpu:0: expected whole microjoules" in cause


def test_what_a_hook_returns_is_checked(project: Project) -> None:
    """A wrong value is one line at the start of the run, and nothing is measured."""
    project.write("test_it.py", WORKS)
    for hook, value, message in (
        ("sensors", "SENSOR", "expected a list of sensors"),
        ("sensors", "[8]", "8: lacks name, source, method, domains, update_period_s, read, close"),
        ("facts", "[1]", "[1]: expected a dict of text"),
        ("facts", '{"racks": 7}', "'racks': 7: expected text; write str(...)"),
    ):
        project.sensor(more=f"def pytest_energy_{hook}(config):\n    return {value}\n")
        ran = project.run("--energy")
        assert ran.code == 4
        [line] = ran.errors
        assert line.startswith(f"ERROR: pytest_energy_{hook}: ")
        assert message in line
