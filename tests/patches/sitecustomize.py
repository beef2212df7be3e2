"""Python runs this at its start when the folder is on PYTHONPATH: see patches.py."""

import os

if name := os.environ.get("TEST_PATCH"):
    import patches

    getattr(patches, name)()
