"use strict";
// Shows /api/openapi.json: one block per operation, with its types spelled out and a form to try it.

const element = (tag, attributes = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
};

let components = {};

const resolve = (schema) =>
  schema && schema.$ref ? components[schema.$ref.split("/").pop()] : schema;

function example(schema, depth = 0) {
  const found = resolve(schema) || {};
  if (found.default !== undefined && found.default !== null) return found.default;
  if (found.enum) return found.enum[0];
  if (found.anyOf) return example(found.anyOf.find((part) => part.type !== "null"), depth);
  if (depth > 5) return null;
  if (found.type === "array") return found.items ? [example(found.items, depth + 1)] : [];
  if (found.type === "object") {
    const entries = Object.entries(found.properties || {});
    return Object.fromEntries(entries.map(([name, part]) => [name, example(part, depth + 1)]));
  }
  return { string: "", integer: 0, number: 0, boolean: false }[found.type] ?? null;
}

function typeName(schema) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" | ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.type === "array") return `${typeName(schema.items)}[]`;
  const limits = ["minimum", "maximum", "minLength", "maxLength", "pattern"]
    .filter((name) => schema[name] !== undefined)
    .map((name) => `${name} ${schema[name]}`);
  return [schema.type || "any", ...limits].join(", ");
}

function shape(schema) {
  return element("pre", { textContent: JSON.stringify(example(schema), null, 2) });
}

function parameters(operation) {
  const rows = (operation.parameters || []).map((parameter) => {
    const value = element("input", { name: parameter.name });
    value.dataset.place = parameter.in;
    if (parameter.schema.default !== undefined && parameter.schema.default !== null)
      value.placeholder = String(parameter.schema.default);
    return element("tr", {},
      element("td", {}, element("code", { textContent: parameter.name })),
      element("td", { textContent: `${parameter.in}${parameter.required ? ", required" : ""}` }),
      element("td", { textContent: typeName(parameter.schema) }),
      element("td", {}, value));
  });
  return rows.length ? element("table", {}, ...rows) : "";
}

async function send(method, path, block, output) {
  const query = new URLSearchParams();
  let address = path;
  for (const input of block.querySelectorAll("input[data-place]")) {
    if (input.dataset.place === "path")
      address = address.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(input.name, input.value);
  }
  const body = block.querySelector("textarea");
  const options = { method };
  if (body) Object.assign(options, { body: body.value, headers: { "Content-Type": "application/json" } });
  const started = performance.now();
  const answer = await fetch(query.size ? `${address}?${query}` : address, options);
  let text = await answer.text();
  try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: as it is */ }
  const time = Math.round(performance.now() - started);
  output.textContent = `${answer.status} ${answer.statusText} (${time} ms)\n${text.slice(0, 100000)}`;
}

function block(method, path, operation) {
  const inside = element("div");
  const body = operation.requestBody?.content["application/json"]?.schema;
  inside.append(parameters(operation));
  if (body)
    inside.append(element("h4", { textContent: `Body 请求体: ${typeName(body)}` }),
      element("textarea", { value: JSON.stringify(example(body), null, 2) }));
  const output = element("pre", { hidden: true });
  const button = element("button", { textContent: "Send 发送" });
  button.addEventListener("click", () => {
    output.hidden = false;
    send(method, path, inside, output).catch((error) => { output.textContent = String(error); });
  });
  const streams = Object.keys(operation.responses["200"]?.content || {}).includes("text/event-stream");
  if (!streams) inside.append(button, output);
  inside.append(element("h4", { textContent: "Answers 应答" }));
  for (const [status, answer] of Object.entries(operation.responses)) {
    inside.append(element("p", {}, element("b", { textContent: status }), ` ${answer.description}`));
    const schema = answer.content?.["application/json"]?.schema;
    if (schema && status < 300) inside.append(shape(schema));
  }
  return element("details", {},
    element("summary", {},
      element("span", { className: `method ${method}`, textContent: method }),
      element("code", { textContent: path }), ` ${operation.summary}`,
      element("span", { className: "zh", textContent: operation.description })),
    inside);
}

async function show() {
  const openapi = await (await fetch("/api/openapi.json")).json();
  components = openapi.components.schemas;
  document.title = openapi.info.title;
  document.getElementById("title").textContent = openapi.info.title;
  document.getElementById("description").textContent = openapi.info.description;
  const main = document.getElementById("operations");
  const sections = new Map(openapi.tags.map(({ name }) => [name, element("section", {}, element("h2", { textContent: name }))]));
  for (const [path, methods] of Object.entries(openapi.paths))
    for (const [method, operation] of Object.entries(methods))
      sections.get(operation.tags[0]).append(block(method.toUpperCase(), path, operation));
  main.replaceChildren(...sections.values());
}

document.getElementById("filter").addEventListener("input", (event) => {
  const wanted = event.target.value.toLowerCase();
  for (const node of document.querySelectorAll("details"))
    node.hidden = !node.firstChild.textContent.toLowerCase().includes(wanted);
});

document.getElementById("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = JSON.stringify(Object.fromEntries(new FormData(event.target)));
  const answer = await fetch("/api/v1/login", { method: "POST", body, headers: { "Content-Type": "application/json" } });
  const { message, message_zh, user } = await answer.json();
  document.getElementById("who").textContent = answer.ok ? `✓ ${user}` : `${message} ${message_zh}`;
});

show().catch((error) => { document.getElementById("operations").textContent = String(error); });
