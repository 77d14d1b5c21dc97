"""Starts the catalog on stand-ins and has every client list it: `check.py BINARY NODE_CLIENTS`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from threading import Thread
from urllib.request import urlopen

import nginx
import python_clients
import stand_ins

RESULTS = []


def report(name, found, expected, error=None):
    """One client's `N of N`."""
    passed = found == expected and not error
    RESULTS.append(passed)
    print(f"{'ok  ' if passed else 'FAIL'} {name}: {found} of {expected}" + (f" ({error})" if error else ""), flush=True)


def compare(name, ids, expected, error=None):
    """Every model once, none else."""
    expected = list(expected)
    if len(ids) != len(set(ids)):
        error = error or "some twice"
    if set(ids) - set(expected):
        error = error or f"unexpected: {sorted(set(ids) - set(expected))[:3]}"
    report(name, len(set(ids) & set(expected)), len(expected), error)


def read(url):
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


def start(binary, directory, providers):
    """Starts the catalog and waits until it has heard from everyone; its process and base URL."""
    catalog = subprocess.Popen(
        [binary, "--listen", "127.0.0.1:0"], cwd=directory, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite://{directory}/catalog.db", "MODEL_CATALOG_DISCOVER": "false",
             "OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{providers}/openai/v1",
             "GEMINI_API_KEY": "none", "GOOGLE_GEMINI_BASE_URL": f"{providers}/google",
             "ANTHROPIC_API_KEY": "none", "ANTHROPIC_BASE_URL": f"{providers}/anthropic",
             "MODEL_CATALOG_ENDPOINTS": f"box={providers}/box"})
    log = []
    for line in catalog.stderr:
        log.append(line)
        if "serving: GET " in line:
            break
    else:
        sys.exit("the catalog does not start:\n" + "".join(log))
    root = log[-1].split("serving: GET ")[1].strip().removesuffix("/v1/models")
    # Its pipe must not fill up.
    Thread(target=catalog.stderr.read, daemon=True).start()
    deadline = time.monotonic() + 20
    while any(source["state"] != "fresh" for source in read(f"{root}/catalog/sources")["sources"]):
        if time.monotonic() > deadline:
            sys.exit(f"not every source is fresh: {read(f'{root}/catalog/sources')}")
        time.sleep(0.05)
    return catalog, root


def strict(root):
    """A client that needs OpenAI's four fields, and a provider's base that loses nothing."""
    for path, expected in [
        ("/v1/models", python_clients.MERGED), ("/v1beta/openai/models", python_clients.MERGED),
        ("/catalog/providers/openai/models", stand_ins.OPENAI),
        ("/catalog/providers/google/v1beta/openai/models", stand_ins.GOOGLE),
        ("/catalog/providers/box/v1/models", stand_ins.OLLAMA),
    ]:
        data = read(root + path)["data"]
        types = [("id", str), ("object", str), ("created", int), ("owned_by", str)]
        good = [entry for entry in data if all(type(entry.get(name)) is kind for name, kind in types)]
        report(f"a strict client, {path}", len(good), len(expected))
    for path, field, sent in [
        ("openai/v1/models", "data", stand_ins.OPENAI),
        ("anthropic/v1/models?limit=1000", "data", stand_ins.ANTHROPIC),
        ("google/v1beta/models?pageSize=1000", "models", stand_ins.GOOGLE),
        ("box/api/tags", "models", stand_ins.OLLAMA),
    ]:
        entries = read(f"{root}/catalog/providers/{path}")[field]
        expected = [entry for entry in sent.values() if entry.get("lifecycle") != "retired"]
        report(f"as it was sent, {path}", sum(entry in expected for entry in entries), len(expected))


def run(root, node_clients, gateway):
    for name, ids, expected in python_clients.checks(root):
        found, error = [], None
        try:
            found.extend(ids)
        except Exception as caught:  # whatever a client fails with is its result
            error = f"{type(caught).__name__}: {caught}"
        compare(name, found, expected, error)

    lists = {
        "merged": python_clients.MERGED, "not_retired": python_clients.NOT_RETIRED,
        "gemini_merged": python_clients.prefixed("models/", python_clients.MERGED),
        "openai": stand_ins.OPENAI, "gemini": python_clients.prefixed("models/", stand_ins.GOOGLE),
        "anthropic": [model_id for model_id in stand_ins.ANTHROPIC if model_id != python_clients.ENDED],
    }
    node = subprocess.run(["node", node_clients, root], stdout=subprocess.PIPE, text=True)
    results = [json.loads(line) for line in node.stdout.splitlines()]
    for result in results:
        compare(result["name"], result["ids"], lists[result["expected"]], result["error"])
    if node.returncode or not results:
        report("the Node clients end in order", 0, 1)

    strict(root)
    report("nginx as documented, in front of a gateway", *nginx.check(root, gateway))


def main():
    binary, node_clients = sys.argv[1:]
    providers = stand_ins.start()
    with tempfile.TemporaryDirectory() as directory:
        catalog, root = start(binary, directory, providers)
        try:
            run(root, node_clients, providers)
        finally:
            catalog.terminate()
            catalog.wait(10)
    failed = RESULTS.count(False)
    print(f"{len(RESULTS) - failed} passed, {failed} failed")
    sys.exit(failed > 0)


main()
