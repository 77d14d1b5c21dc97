// Picks models in a language with types, which are generated from the OpenAPI document: `picker ROOT TOKENS` prints the ids of
// the models that have tools and a context window of at least that many tokens.

import type { components, paths } from "./openapi.js";

type Model = components["schemas"]["Model"];
type ModelList = components["schemas"]["ModelList"];
type Failure = components["schemas"]["Error"];
type Query = NonNullable<paths["/v1/models"]["get"]["parameters"]["query"]>;

async function list(root: string, query: Query): Promise<Model[]> {
  const parameters = new URLSearchParams(query as Record<string, string>);
  const answer = await fetch(`${root}/v1/models?${parameters}`);
  if (!answer.ok) {
    const failure = (await answer.json()) as Failure;
    throw new Error(`${failure.error.code}: ${failure.error.message}`);
  }
  return ((await answer.json()) as ModelList).data;
}

function fits(model: Model, tokens: number): boolean {
  return (model.context_window ?? 0) >= tokens && (model.capabilities?.includes("tools") ?? false);
}

const [root, tokens] = process.argv.slice(2);
if (root === undefined || tokens === undefined) {
  throw new Error("usage: picker ROOT TOKENS");
}
const models = await list(root, { capability: "tools" });
for (const model of models.filter((model) => fits(model, Number(tokens)))) {
  console.log(model.id);
}
