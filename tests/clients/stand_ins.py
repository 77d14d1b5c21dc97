"""Stand-ins of three providers, of an Ollama and of a gateway, on one port, with more models than a page."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit


def openai_entry(model_id):
    # Fields that no OpenAI client knows are kept by the provider's base.
    return {"id": model_id, "object": "model", "created": 1_700_000_000, "owned_by": "system",
            "architecture": {"modality": "text->text"}, "pricing": {"prompt": "0.0000001"}}


def google_entry(model_id):
    return {"name": f"models/{model_id}", "version": "001", "displayName": f"Display {model_id}",
            "description": "Made up", "inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536,
            "supportedGenerationMethods": ["generateContent"], "temperature": 1, "topP": 0.95}


def anthropic_entry(model_id):
    lifecycle = "retired" if "retired" in model_id else "deprecated" if "deprecated" in model_id else "active"
    return {"type": "model", "id": model_id, "display_name": f"Display {model_id}",
            "created_at": "2026-02-04T00:00:00Z", "max_input_tokens": 200_000, "max_tokens": 64_000,
            "capabilities": {"batch": {"supported": True}}, "lifecycle": lifecycle,
            "deprecated_at": None, "retires_at": None, "line": "sonnet"}


def ollama_entry(model_id):
    return {"name": model_id, "model": model_id, "size": 4_733_363_377, "digest": "3ddd2d3f" * 8,
            "modified_at": "2026-02-03T00:54:07.035483248-05:00", "capabilities": ["completion", "tools"],
            "details": {"context_length": 131_072, "parent_model": "", "format": "gguf", "family": "llama", "families": None,
                        "parameter_size": "8B", "quantization_level": "Q4_K_M"}}


OPENAI = {entry["id"]: entry for entry in map(
    openai_entry, [f"gpt-{number:02}" for number in range(70)] + ["ft:gpt-4o:org::x", "org/model-7b"])}
# Times as some services send them: strict clients raise on them.
ODD_TIMES = {"odd-milliseconds": 1_790_000_000_000, "odd-before-year-one": -62_135_596_801, "odd-text": "2024-01-01T00:00:00Z",
             "odd-fraction": 1.5e9, "odd-far": 10**30, "odd-nothing": None}
OPENAI.update({model_id: openai_entry(model_id) | {"created": created} for model_id, created in ODD_TIMES.items()})
GOOGLE = {f"gemini-{number:02}": google_entry(f"gemini-{number:02}") for number in range(60)}
ANTHROPIC = {entry["id"]: entry for entry in map(
    anthropic_entry, [f"claude-{number:02}" for number in range(45)] + ["claude-deprecated", "claude-retired"])}
OLLAMA = {entry["name"]: entry for entry in map(
    ollama_entry, [f"llama-{number}:8b" for number in range(8)] + ["hf.co/org/model:Q4"])}


# What some imitators of it send.
OLLAMA["odd-time:1b"] = ollama_entry("odd-time:1b") | {"modified_at": ""}
OLLAMA_VERSION = "0.31.2"


class StandIn(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        match url.path:
            case "/openai/v1/models":
                self.answer({"object": "list", "data": list(OPENAI.values())})
            case "/google/v1beta/models":
                start = int(query.get("pageToken", "0"))
                models = list(GOOGLE.values())
                page = {"models": models[start:start + 50]}
                if start + 50 < len(models):
                    page["nextPageToken"] = str(start + 50)
                self.answer(page)
            case "/anthropic/v1/models":
                ids = list(ANTHROPIC)
                start = ids.index(query["after_id"]) + 1 if "after_id" in query else 0
                page = ids[start:start + 20]
                self.answer({"data": [ANTHROPIC[model_id] for model_id in page],
                             "has_more": start + 20 < len(ids), "first_id": page[0], "last_id": page[-1]})
            case "/box/api/tags":
                self.answer({"models": list(OLLAMA.values())})
            case "/box/api/version":
                self.answer({"version": OLLAMA_VERSION})
            case _ if url.path.startswith(("/openai", "/google", "/anthropic", "/box")):
                self.answer({"error": "not here"}, 404)
            case _:
                self.answer({"gateway": f"{self.command} {self.path}"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.answer({"gateway": f"{self.command} {self.path}", "body": body.decode()})

    do_DELETE = do_POST

    def answer(self, body, status=200):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def start():
    """Starts them; the base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
