"""Codex, which asks for models in a form of its own: it must keep its built-in list."""

import json
import os
import subprocess
import tempfile

# The form in which Codex asks a provider for its models: with a key from a command.
CONFIG = """
model_provider = "catalog"
[model_providers.catalog]
name = "catalog"
base_url = "{root}/v1"
wire_api = "responses"
[model_providers.catalog.auth]
command = "echo"
args = ["none"]
"""


def check(root, node):
    """The models that it knows with the catalog as its provider, and those that it is shipped with."""
    with tempfile.TemporaryDirectory() as home:
        with open(os.path.join(home, "config.toml"), "w", encoding="utf-8") as file:
            file.write(CONFIG.format(root=root))
        environment = {"PATH": os.environ["PATH"], "HOME": home, "CODEX_HOME": home}
        program = os.path.join(node, "node_modules", ".bin", "codex")

        def models(*arguments):
            done = subprocess.run([program, "debug", "models", *arguments], env=environment, cwd=home, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
            if done.returncode:
                raise RuntimeError(done.stderr.strip())
            return [model["slug"] for model in json.loads(done.stdout)["models"]]

        with open(os.path.join(node, "node_modules/@openai/codex/package.json"), encoding="utf-8") as file:
            name = f"@openai/codex {json.load(file)['version']}, its built-in list"
        try:
            known, built_in = models(), models("--bundled")
        except (RuntimeError, subprocess.TimeoutExpired, ValueError) as error:
            return name, 0, 1, str(error)
        return name, len(set(known) & set(built_in)), len(built_in), "others too" if set(known) - set(built_in) else None
