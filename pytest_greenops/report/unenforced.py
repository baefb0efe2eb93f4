"""The closing line of a run without `--energy`, in a room that loads nothing."""


def not_enforced(budgets: int) -> str:
    """How many budgets were not enforced: `energy: 4 budgets not enforced; …`."""
    many, them = ("budget", "it") if budgets == 1 else ("budgets", "them")
    return f"energy: {budgets} {many} not enforced; measure {them} with --energy"
