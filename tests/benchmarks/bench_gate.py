"""How long the gate takes: `dpe scope check` on a 100 KB claude.md against an interpreter that does nothing.

Run it as a script: `python tests/benchmarks/bench_gate.py`. Medians of interleaved runs, so that a busy
machine slows both alike; exit code 1 when the ratio is above 3.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAUNCHER = Path(__file__).resolve().parents[2] / "scripts" / "dpe.py"
ALLOWED = 3.0
RUNS = 41

SCOPE = """\
## Project Scope: Storefront

### Team Context
| Field | Value | Notes |
|-------|-------|-------|
| **Team** | `platform` | |

### Domain Ownership
| Domain | Owner Role | Owner Name/Team | Notes |
|--------|-----------|-----------------|-------|
| Data Pipeline | Data Platform Engineer | @data | |

### Active Roles on This Project
| Role | Person/Team | Scope |
|------|-------------|-------|
| Data Platform Engineer | @data | Customer DB (PostgreSQL), Analytics DW |
"""

FILLER = """\
### How we work {number}

Write small commits. See [the guide](docs/guide.md) and `make check` before you push; ask @team when unsure.

- one thing at a time
- **tests** first, then the change

```sh
make check && make test
```

"""


def claude_md(size: int = 100_000) -> str:
    """A file of that size with the scope in its middle, between prose, lists and code."""
    half = "".join(FILLER.format(number=number) for number in range(size // len(FILLER) // 2))
    return f"# Storefront\n\n{half}{SCOPE}\n## Conventions\n\n{half}"


def milliseconds(command: list[str], directory: Path) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, cwd=directory, stdout=subprocess.DEVNULL, check=True)
    return (time.perf_counter() - started) * 1000


def measure(runs: int = RUNS) -> dict[str, float]:
    """Medians in milliseconds of each command, and the ratios to `pass`."""
    commands = {
        "pass": [sys.executable, "-c", "pass"],
        "check": [sys.executable, str(LAUNCHER), "scope", "check"],
        "check_store": [sys.executable, str(LAUNCHER), "scope", "check", "--store", "Customer DB"],
        "check_json": [sys.executable, str(LAUNCHER), "scope", "check", "--store", "Customer DB", "--json"],
    }
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "CLAUDE.md").write_text(claude_md(), encoding="utf-8")
        (directory / ".git").mkdir()
        times: dict[str, list[float]] = {key: [] for key in commands}
        for _ in range(runs):
            for key, command in commands.items():
                times[key].append(milliseconds(command, directory))
    medians = {f"{key}_ms": round(statistics.median(values), 2) for key, values in times.items()}
    base = medians["pass_ms"]
    return medians | {
        f"{key}_ratio": round(medians[f"{key}_ms"] / base, 2) for key in commands if key != "pass"
    }


def main() -> int:
    """Print the figures as JSON."""
    figures = measure()
    print(json.dumps({"python": sys.version.split()[0], "cores": os.cpu_count(), **figures}, indent=2))
    return int(max(figures["check_ratio"], figures["check_store_ratio"]) > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
