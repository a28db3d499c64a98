"""Named queries: one `.sql` file each, its first comment saying what it returns."""

from functools import lru_cache
from importlib import resources


@lru_cache
def query(name: str) -> str:
    """The text of `{name}.sql`."""
    return resources.files(__package__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
