// The official Node clients: a line of JSON each, {name, ids} or {name, error}, for check.py to compare.
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { Ollama } from "ollama";
import OpenAI from "openai";

const root = process.argv[2];
const base = (name) => `${root}/catalog/providers/${name}`;

function named(name) {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(file)).version} for Node`;
}

// A list is read with the client's own paging, then each model by itself.
async function* ofOpenAI(baseURL) {
  const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
  for await (const model of client.models.list()) {
    assert.deepEqual({ ...(await client.models.retrieve(model.id)) }, { ...model });
    yield model.id;
  }
}

async function* ofAnthropic(baseURL) {
  const client = new Anthropic({ baseURL, apiKey: "none", maxRetries: 0 });
  for await (const model of client.models.list()) {
    assert.deepEqual({ ...(await client.models.retrieve(model.id)) }, { ...model });
    yield model.id;
  }
}

async function* ofGoogle(baseUrl) {
  const client = new GoogleGenAI({ apiKey: "none", httpOptions: { baseUrl } });
  for await (const model of await client.models.list()) {
    assert.deepEqual({ ...(await client.models.get({ model: model.name })) }, { ...model });
    yield model.name;
  }
}

async function* ofOllama(host, version) {
  const client = new Ollama({ host });
  assert.equal((await client.version()).version, version);
  assert.deepEqual((await client.ps()).models, []);
  await assert.rejects(client.show({ model: "nope" }), { status_code: 404 });
  for (const model of (await client.list()).models) {
    assert.equal(model.digest.length, 64);
    assert.ok(Array.isArray((await client.show({ model: model.model })).capabilities));
    yield model.model;
  }
}

const checks = [
  [`${named("openai")}, the root`, "merged", ofOpenAI(`${root}/v1`)],
  [`${named("openai")}, a provider's base`, "openai", ofOpenAI(base("openai"))],
  [`${named("@anthropic-ai/sdk")}, the root`, "not_retired", ofAnthropic(root)],
  [`${named("@anthropic-ai/sdk")}, a provider's base`, "anthropic", ofAnthropic(base("anthropic"))],
  [`${named("@google/genai")}, the root`, "gemini_merged", ofGoogle(root)],
  [`${named("@google/genai")}, a provider's base`, "gemini", ofGoogle(base("google"))],
  [`${named("ollama")}, the root`, "merged", ofOllama(`${root}/ollama`, "0.0.0")],
  [`${named("ollama")}, an endpoint's base`, "ollama", ofOllama(base("box"), "0.31.2")],
];
for (const [name, expected, models] of checks) {
  const ids = [];
  let error = null;
  try {
    for await (const id of models) ids.push(id);
  } catch (caught) {
    error = String(caught);
  }
  console.log(JSON.stringify({ name, expected, ids, error }));
}
