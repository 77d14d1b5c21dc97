"""The typed picker: its types are generated from docs/openapi.json, it compiles, a wrong name does not, and it picks."""

import os
import shutil
import subprocess

import stand_ins

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(HERE, "../../docs/openapi.json")
# What the stand-in of an Ollama says of its models.
TOKENS = 131_072
# Names that the document does not have: each must be found.
WRONG = [("model.context_window", "model.contextWindow"), ("{ capability:", "{ capabilty:"), ("failure.error.code", "failure.code")]


def run(*command, cwd):
    return subprocess.run(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)


def check(root, node):
    """The models that it picks, and those that the stand-ins have of that kind."""
    name = "a typed picker of generated types"
    folder = os.path.join(node, "picker")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    programs = os.path.join(node, "node_modules/.bin")
    compiler = [os.path.join(programs, "tsc"), "--strict", "--target", "es2022", "--module", "nodenext", "--types", "node", "picker.ts"]

    def write(text):
        with open(os.path.join(folder, "picker.ts"), "w", encoding="utf-8") as file:
            file.write(text)

    with open(os.path.join(folder, "package.json"), "w", encoding="utf-8") as file:
        file.write('{"type": "module"}')
    with open(os.path.join(HERE, "picker.ts"), encoding="utf-8") as file:
        source = file.read()
    done = run(os.path.join(programs, "openapi-typescript"), DOCUMENT, "--output", "openapi.d.ts", cwd=folder)
    if done.returncode:
        return name, 0, 1, done.stdout.strip()
    for right, wrong in WRONG:
        write(source.replace(right, wrong))
        if right not in source or not run(*compiler, "--noEmit", cwd=folder).returncode:
            return name, 0, 1, f"{wrong} compiles"
    write(source)
    done = run(*compiler, cwd=folder)
    if done.returncode:
        return name, 0, 1, done.stdout.strip()
    more = run("node", "picker.js", root, str(TOKENS + 1), cwd=folder)
    done = run("node", "picker.js", root, str(TOKENS), cwd=folder)
    if more.returncode or more.stdout or done.returncode:
        return name, 0, 1, more.stdout.strip() or done.stdout.strip()
    picked = done.stdout.split()
    expected = [model_id for model_id, model in stand_ins.OLLAMA.items()
                if "tools" in model["capabilities"] and model["details"]["context_length"] >= TOKENS]
    return name, len(set(picked) & set(expected)), len(expected), "others too" if set(picked) - set(expected) else None
