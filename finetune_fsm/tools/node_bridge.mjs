// A tool server for a folder of JavaScript files, run by Node:
//
//     node node_bridge.mjs FOLDER
//
// A file exports a function (the tool has the file's name) or objects with name, description,
// inputSchema and execute, alone, in a list or by name; CommonJS and ES modules both do. What a
// tool returns, or its promise, is the result: text as it is, everything else as JSON. It speaks
// the part of MCP (2025-06-18) that tools need, and needs no package; what the tools print goes to
// standard error.
import { readdirSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const VERSION = "2025-06-18";
const NO_METHOD = -32601;
const BAD_PARAMETERS = -32602;

const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);
for (const way of ["log", "info", "debug"]) console[way] = console.error;

const answer = (id, fields) => write(JSON.stringify({ jsonrpc: "2.0", id, ...fields }) + "\n");

function add(tools, found, name) {
  if (typeof found === "function") {
    const inputSchema = found.inputSchema ?? { type: "object" };
    tools.set(found.toolName ?? name, { description: found.description, inputSchema, execute: found });
  } else if (found && typeof found.execute === "function") {
    tools.set(found.name ?? name, { ...found, execute: found.execute.bind(found) });
  } else if (found && typeof found === "object") {
    for (const [key, part] of Object.entries(found)) {
      const usable = typeof part === "function" || (part && typeof part.execute === "function");
      if (usable) add(tools, part, Array.isArray(found) ? `${name}_${key}` : key);
    }
  }
}

async function load(folder) {
  const tools = new Map();
  const files = readdirSync(folder).filter((name) => /^[^_.].*\.(js|mjs|cjs)$/.test(name));
  for (const file of files.sort()) {
    const module = await import(pathToFileURL(resolve(join(folder, file))));
    add(tools, module.default ?? { ...module }, basename(file, extname(file)));
  }
  return tools;
}

const described = ([name, tool]) => ({
  name,
  description: String(tool.description ?? ""),
  inputSchema: tool.inputSchema ?? { type: "object" },
  ...(tool.annotations ? { annotations: tool.annotations } : {}),
});

async function called(tool, given) {
  try {
    const found = await tool.execute(given);
    const text = typeof found === "string" ? found : JSON.stringify(found) ?? "";
    return { content: [{ type: "text", text }], isError: false };
  } catch (error) {
    return { content: [{ type: "text", text: String(error) }], isError: true };
  }
}

async function handle(tools, { id, method, params = {} }) {
  if (method === "initialize") {
    const serverInfo = { name: "finetune-fsm tools folder", version: "1" };
    const protocolVersion = params.protocolVersion ?? VERSION;
    answer(id, { result: { protocolVersion, capabilities: { tools: {} }, serverInfo } });
  } else if (method === "ping") {
    answer(id, { result: {} });
  } else if (method === "tools/list") {
    answer(id, { result: { tools: [...tools].map(described) } });
  } else if (method === "tools/call") {
    const tool = tools.get(params.name);
    if (tool) answer(id, { result: await called(tool, params.arguments ?? {}) });
    else answer(id, { error: { code: BAD_PARAMETERS, message: `there is no tool ${params.name}` } });
  } else {
    answer(id, { error: { code: NO_METHOD, message: `there is no method ${method}` } });
  }
}

const lines = createInterface({ input: process.stdin });
const tools = load(process.argv[2]);
lines.on("line", async (line) => {
  let message;
  try {
    message = JSON.parse(line);
  } catch {
    return;
  }
  if (message && message.id !== undefined && message.method) await handle(await tools, message);
});
lines.on("close", () => process.exit(0));
tools.catch((error) => {
  console.error(String(error?.stack ?? error));
  process.exit(1);
});
