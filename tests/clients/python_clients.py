"""The official Python clients: each yields a name, the ids that it listed and retrieved, and those that it should have."""

from importlib.metadata import version

import anthropic
import ollama
import openai
from google import genai
from langchain_ollama import ChatOllama

from stand_ins import ANTHROPIC, GOOGLE, ODD_TIMES, OLLAMA, OPENAI

# A list is read with the client's own paging, then each model by itself.
ENDED = "claude-retired"


def of_openai(base):
    client = openai.OpenAI(base_url=base, api_key="none", max_retries=0)
    for model in client.models.list():
        one = client.models.retrieve(model.id)
        assert one == model, f"{one} is not {model}"
        assert isinstance(model.created, int) and model.owned_by and model.object == "model", model
        yield model.id


def of_anthropic(base, **parameters):
    client = anthropic.Anthropic(base_url=base, api_key="none", max_retries=0)
    for model in client.models.list(**parameters):
        one = client.models.retrieve(model.id)
        assert one == model, f"{one} is not {model}"
        assert model.display_name and model.created_at and model.type == "model", model
        yield model.id


def of_google(base, api_version=None):
    options = genai.types.HttpOptions(base_url=base, api_version=api_version)
    client = genai.Client(api_key="none", http_options=options)
    for model in client.models.list():
        one = client.models.get(model=model.name)
        assert one == model, f"{one} is not {model}"
        yield model.name


def of_ollama(base):
    client = ollama.Client(host=base)
    assert not client.ps().models
    try:
        client.show("nope")
        raise AssertionError("it shows a model that is not there")
    except ollama.ResponseError as error:
        assert error.status_code == 404 and "nope" in error.error, error
    for model in client.list().models:
        # The command line cuts it at 12 characters, and panics if it is shorter.
        assert len(model.digest) == 64, model
        shown = client.show(model.model)
        if model.model in OLLAMA:
            assert model.size and model.details.family == shown.details.family == "llama", model
            assert shown.modelinfo["llama.context_length"] == 131_072, shown
            assert shown.capabilities == ["completion", "tools"], shown
        yield model.model


def of_langchain(base, ids):
    """It lists the models to say whether its own is there; a name without a tag is enough."""
    for model_id in ids:
        ChatOllama(model=model_id, base_url=base, validate_model_on_init=True)
        yield model_id
    try:
        ChatOllama(model="nope", base_url=base, validate_model_on_init=True)
        yield "nope"
    except ValueError as error:
        assert "`nope` not found" in str(error), error


def prefixed(prefix, ids):
    return [f"{prefix}{model_id}" for model_id in ids]


def not_retired(ids):
    return [model_id for model_id in ids if not model_id.endswith(ENDED)]


def has_odd_time(entry):
    return entry.get("id") in ODD_TIMES or entry.get("modified_at") == ""


MERGED = [*OLLAMA, *prefixed("openai:", OPENAI), *prefixed("google:", GOOGLE), *prefixed("anthropic:", ANTHROPIC)]
NOT_RETIRED = not_retired(MERGED)


def checks(root):
    def named(package):
        return f"{package} {version(package)} for Python"

    def base(name):
        return f"{root}/catalog/providers/{name}"

    client = named("openai")
    yield f"{client}, the root", of_openai(f"{root}/v1"), MERGED
    yield f"{client}, the root as Google's OpenAI base", of_openai(f"{root}/v1beta/openai"), MERGED
    yield f"{client}, a provider's base", of_openai(base("openai")), OPENAI
    yield f"{client}, a provider's base with /v1", of_openai(base("openai/v1")), OPENAI
    yield f"{client}, Google's base", of_openai(base("google/v1beta/openai")), GOOGLE
    yield f"{client}, an endpoint's base", of_openai(base("box/v1")), OLLAMA
    client = named("anthropic")
    yield f"{client}, the root", of_anthropic(root), NOT_RETIRED
    yield f"{client}, the root, the largest page", of_anthropic(root, limit=1000), NOT_RETIRED
    yield f"{client}, the root, what is retired", of_anthropic(root, lifecycle=["retired"]), [f"anthropic:{ENDED}"]
    yield f"{client}, a provider's base", of_anthropic(base("anthropic")), not_retired(ANTHROPIC)
    client = named("google-genai")
    yield f"{client}, the root", of_google(root), prefixed("models/", MERGED)
    yield f"{client}, the root, v1beta", of_google(root, "v1beta"), prefixed("models/", MERGED)
    yield f"{client}, a provider's base", of_google(base("google")), prefixed("models/", GOOGLE)
    client = named("ollama")
    yield f"{client}, an endpoint's base", of_ollama(base("box")), OLLAMA
    yield f"{client}, the root", of_ollama(f"{root}/ollama"), MERGED
    client = named("langchain-ollama")
    yield f"{client}, an endpoint's base", of_langchain(base("box"), OLLAMA), OLLAMA
    yield f"{client}, the root", of_langchain(f"{root}/ollama", MERGED[::10]), MERGED[::10]
