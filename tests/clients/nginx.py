"""A real nginx with the snippet of docs/clients.md, in front of the catalog and a gateway."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

DOCUMENT = Path(__file__).parents[2] / "docs" / "clients.md"


def snippet(catalog, gateway, port):
    """What the document says, with our addresses in place of its own."""
    text = re.search(r"```nginx\n(.*?)```", DOCUMENT.read_text(), re.DOTALL).group(1)
    for theirs, ours in [("127.0.0.1:8484", catalog), ("127.0.0.1:4000", gateway), ("listen 8080;", f"listen 127.0.0.1:{port};")]:
        assert theirs in text, f"{DOCUMENT.name} has no {theirs}"
        text = text.replace(theirs, ours.removeprefix("http://"))
    return text


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(url, method="GET", body=None):
    with urlopen(Request(url, data=body, method=method), timeout=10) as answer:
        return answer.headers, answer.read().decode()


def check(catalog, gateway):
    """Asks what the catalog and what the gateway should answer; how much of that was right, and of how much."""
    port = free_port()
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    with tempfile.TemporaryDirectory() as directory:
        places = "".join(f"{name}_temp_path {directory}/{name};\n" for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
        user = "user root;\n" if os.getuid() == 0 else ""
        Path(directory, "nginx.conf").write_text(
            f"{user}daemon off;\npid {directory}/pid;\nerror_log stderr warn;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{places}{snippet(catalog, gateway, port)}}}\n")
        nginx = subprocess.Popen([program, "-p", directory, "-c", f"{directory}/nginx.conf"])
        try:
            front = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 10
            while True:
                try:
                    ask(front)
                    break
                except OSError:
                    if time.monotonic() > deadline or nginx.poll() is not None:
                        raise SystemExit("nginx does not serve: see above")
                    time.sleep(0.05)
            return compare(front, catalog)
        finally:
            nginx.terminate()
            nginx.wait(10)


def compare(front, catalog):
    right = []
    # The catalog's, byte for byte, whatever the id holds.
    for path in ["/v1/models", "/v1/models?limit=5", "/v1/models/openai:gpt-00", "/v1/models/openai:org%2Fmodel-7b",
                 "/v1/models/openai:org/model-7b", "/v1/models/hf.co%2Forg%2Fmodel%3AQ4"]:
        headers, body = ask(front + path)
        right.append("catalog-revision" in headers and body == ask(catalog + path)[1])
    # Everything else is the gateway's.
    for method, path, body in [("POST", "/v1/chat/completions", b'{"model":"x"}'), ("GET", "/v1/modelsx", None),
                               ("DELETE", "/v1/models/ft%3Ax", None), ("GET", "/health?x=1", None)]:
        _, text = ask(front + path, method, body)
        right.append(f'"{method} {path}"' in text and (body is None or "model" in text))
    return right.count(True), len(right)
