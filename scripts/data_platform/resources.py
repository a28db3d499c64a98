"""Where the files are that belong to the package but are not Python: templates, examples, shared references.

In the source tree they lie at its top; a wheel carries copies in `data_platform/_bundle`.
"""

# ruff: noqa: PTH100, PTH112, PTH118, PTH120
# os.path and not pathlib: the gate reads a resource, and importing pathlib would cost it a tenth of its time.

from __future__ import annotations

import os


def resource(*parts: str) -> str:
    """The absolute path of a bundled file or directory, such as `resource("templates", "messages")`.

    Does not say whether it exists.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    bundle = os.path.join(package, "_bundle")
    root = bundle if os.path.isdir(bundle) else os.path.dirname(os.path.dirname(package))
    return os.path.join(root, *parts)
