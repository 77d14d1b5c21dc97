"""Schemathesis, which reads the OpenAPI document and holds the catalog to it: every route, with what it allows and what it does not."""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# For each route; the whole takes half a minute.
EXAMPLES = 30


def check(root):
    """The requests that were answered as described, of those that were made."""
    name = "Schemathesis, every route"
    program = os.path.join(os.path.dirname(sys.executable), "schemathesis")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": HERE, "PYTHONDONTWRITEBYTECODE": "1", "SCHEMATHESIS_HOOKS": "schemathesis_hooks"}
    # What it writes down is not kept.
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [program, "--config-file", os.path.join(HERE, "schemathesis.toml"), "run", f"{root}/openapi.json", "--no-color",
             "--max-examples", str(EXAMPLES), "--request-timeout", "10"],
            env={**environment, "HOME": directory}, cwd=directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    counts = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    if done.returncode or not counts:
        print(done.stdout, file=sys.stderr)
        return name, 0, 1, "it found something: see above"
    generated, passed = map(int, counts.groups())
    # Fewer would mean that it did not read the document.
    return name, passed, max(generated, 1000), None
