"""Start dpe from the source tree: `python3 scripts/dpe.py NOUN VERB`. Standard library only."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036  an older interpreter must read this far to say so
    sys.stderr.write(
        "dpe needs Python 3.11 or newer; this is %d.%d (%s).\n" % (*sys.version_info[:2], sys.executable)  # noqa: UP031
        + "  try: uv run --no-project --python 3.12 %s\n" % " ".join(sys.argv)  # noqa: UP031
    )
    sys.exit(6)

# Compiling our modules again and again would take longer than the gate does, so they are kept compiled even
# where PYTHONDONTWRITEBYTECODE is set, as it is in many containers.
sys.dont_write_bytecode = False
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120  pathlib is slow to import

from data_platform.cli import main  # noqa: E402

if __name__ == "__main__":  # not again in processes that are forked for a proof
    sys.exit(main())
