"""Starts the catalog on stand-ins and has every client list it: `check.py BINARY NODE_CLIENTS`."""

import json
import os
import subprocess
import sys
import tempfile
import time
from threading import Thread

import codex
import described
import nginx
import picker
import python_clients
import stand_ins
import strict
from strict import read

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


def start(binary, directory, providers):
    """Starts the catalog and waits until it has heard from everyone; its process and base URL."""
    catalog = subprocess.Popen(
        [binary, "--listen", "127.0.0.1:0"], cwd=directory, stderr=subprocess.PIPE, text=True,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite://{directory}/catalog.db", "MODEL_CATALOG_DISCOVER": "false",
             "MODEL_CATALOG_LOG_FORMAT": "human",
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
    root = log[-1].split("serving: GET ")[1].split("/v1/models")[0]
    # Its pipe must not fill up.
    Thread(target=catalog.stderr.read, daemon=True).start()
    deadline = time.monotonic() + 20
    while any(source["state"] != "fresh" for source in read(f"{root}/catalog/sources")["sources"]):
        if time.monotonic() > deadline:
            sys.exit(f"not every source is fresh: {read(f'{root}/catalog/sources')}")
        time.sleep(0.05)
    return catalog, root


def readable(check, entries):
    """How many `check` reads, and what it says of the first other."""
    good, error = 0, None
    for entry in entries:
        try:
            check(entry)
            good += 1
        except (AssertionError, ValueError, OverflowError, OSError, TypeError) as caught:
            error = error or f"{type(caught).__name__}: {caught}"
    return good, error


def strict_readers(root):
    """Clients in languages with types read every entry, and every time of every answer."""
    providers = f"{root}/catalog/providers"
    lists = [
        (f"{root}/v1/models", "data", python_clients.MERGED),
        (f"{root}/v1/models?revision={read(f'{root}/catalog/sources')['revision']}", "data", python_clients.MERGED),
        (f"{root}/v1beta/openai/models", "data", python_clients.MERGED),
        (f"{root}/ollama/v1/models", "data", python_clients.MERGED),
        (f"{providers}/google/v1beta/openai/models", "data", stand_ins.GOOGLE),
        (f"{providers}/box/v1/models", "data", stand_ins.OLLAMA),
    ]
    for url, field, expected in lists:
        good, error = readable(strict.entry, read(url)[field])
        report(f"a strict reader, {url.removeprefix(root)}", good, len(expected), error)
    # Below their bases entries have the fields of their sources.
    lists += [
        (f"{root}/ollama/api/tags", "models", python_clients.MERGED),
        (f"{providers}/openai/models", "data", stand_ins.OPENAI),
        (f"{providers}/openai/v1/models", "data", stand_ins.OPENAI),
        (f"{providers}/anthropic/v1/models?limit=1000", "data", python_clients.not_retired(stand_ins.ANTHROPIC)),
        (f"{providers}/box/api/tags", "models", stand_ins.OLLAMA),
    ]
    for url, field, expected in lists:
        good, error = readable(strict.times, read(url)[field])
        report(f"every time, {url.removeprefix(root)}", good, len(expected), error)
    for base, ids in [("/ollama", python_clients.MERGED), ("/catalog/providers/box", stand_ins.OLLAMA)]:
        good, error = readable(lambda model: strict.times(read(f"{root}{base}/api/show", {"model": model})), ids)
        report(f"every time, {base}/api/show", good, len(ids), error)
    routes = ["changes", "changes?since=0&limit=10000", "sources", "retirements", "models/openai:odd-milliseconds/history",
              "why/openai:odd-milliseconds"]
    good, error = readable(lambda route: strict.times(read(f"{root}/catalog/{route}")), routes)
    report("every time below /catalog", good, len(routes), error)


def unchanged(root):
    """A provider's base loses nothing."""
    for path, field, sent in [
        ("openai/v1/models", "data", stand_ins.OPENAI),
        ("anthropic/v1/models?limit=1000", "data", stand_ins.ANTHROPIC),
        ("google/v1beta/models?pageSize=1000", "models", stand_ins.GOOGLE),
        ("box/api/tags", "models", stand_ins.OLLAMA),
    ]:
        entries = read(f"{root}/catalog/providers/{path}")[field]
        expected = [entry for entry in sent.values()
                    if entry.get("lifecycle") != "retired" and not python_clients.has_odd_time(entry)]
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
        "ollama": stand_ins.OLLAMA, "openai": stand_ins.OPENAI, "gemini": python_clients.prefixed("models/", stand_ins.GOOGLE),
        "anthropic": [model_id for model_id in stand_ins.ANTHROPIC if model_id != python_clients.ENDED],
    }
    node = subprocess.run(["node", node_clients, root], stdout=subprocess.PIPE, text=True)
    results = [json.loads(line) for line in node.stdout.splitlines()]
    for result in results:
        compare(result["name"], result["ids"], lists[result["expected"]], result["error"])
    if node.returncode or not results:
        report("the Node clients end in order", 0, 1)

    strict_readers(root)
    unchanged(root)
    report(*codex.check(root, os.path.dirname(node_clients)))
    report("nginx as documented, in front of a gateway", *nginx.check(root, gateway))
    report(*picker.check(root, os.path.dirname(node_clients)))
    report(*described.check(root))


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
