"""A run in a process of its own, to be killed: the spec's path as argument, where everything is on stdin as JSON.

Prints `begun` once it is about to run, and what came of it at the end.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from data_platform.errors import Problem
from data_platform.pipeline.run import run
from data_platform.pipeline.streams import Place
from data_platform.spec import document
from data_platform.spec.pipeline import read_pipeline


def main() -> int:
    """0 where the run is done, else the exit code of the problem, which is printed."""
    given = json.loads(sys.stdin.readline())
    # As the proof has it: without checks, which are of real rows.
    spec = replace(read_pipeline(document.read(Path(sys.argv[1]))), checks=())
    place = Place(given["conninfo"], Path(given["base"]), addresses=given["addresses"])
    print("begun", flush=True)
    try:
        print(json.dumps(asdict(run(spec, place).counts)), flush=True)
    except Problem as problem:
        print(json.dumps({"problem": problem.what, "exit_code": problem.exit_code}), flush=True)
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
