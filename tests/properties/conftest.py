"""The same examples in each run: `make fuzz` looks for new ones."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "same examples",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("same examples")
