// A minimal host: it opens one tool's app in a sandboxed frame, over the official bridge and client.
// The test sets `options`; what the app asked of the host is in `records`.
import { AppBridge, PostMessageTransport, getToolUiResourceUri } from "@modelcontextprotocol/ext-apps/app-bridge";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const DENY_ALL = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";
const { url, era, tool: name, args, theme, variables, abilities } = window.options;
const records = (window.records = []);
const record = (kind, params) => { records.push({ kind, ...params }); return {}; };

const apps = { mimeTypes: ["text/html;profile=mcp-app"] };
const client = new Client(
  { name: "host-page", version: "1" },
  { capabilities: { extensions: { "io.modelcontextprotocol/ui": apps } }, versionNegotiation: { mode: era } },
);
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const { tools } = await client.listTools();
const tool = tools.find((listed) => listed.name === name);
const uri = getToolUiResourceUri(tool);
const { contents: [page] } = await client.readResource({ uri });
record("page", { uri, mimeType: page.mimeType, meta: page._meta, flat: tool._meta["ui/resourceUri"], size: page.text.length });

const frame = document.querySelector("iframe");
const hostContext = {
  theme, displayMode: "inline", availableDisplayModes: ["inline"], platform: "web", locale: "en",
  styles: { variables }, containerDimensions: { maxHeight: 4000 }, toolInfo: { id: 1, tool },
};
const bridge = new AppBridge(client, { name: "host-page", version: "1" }, abilities, { hostContext });
bridge.onsizechange = ({ width, height }) => { record("size", { width, height }); frame.style.height = `${height}px`; };
bridge.onopenlink = async (params) => record("link", params);
bridge.onupdatemodelcontext = async ({ content }) => record("context", { text: content[0].text });
bridge.oninitialized = async () => {
  bridge.sendToolInput({ arguments: args });
  const result = await client.callTool({ name, arguments: args });
  await bridge.sendToolResult(result);
  record("result", { isError: result.isError });
};
window.tearDown = () => bridge.teardownResource({});
window.setTheme = (next) => bridge.setHostContext({ ...hostContext, theme: next });
await bridge.connect(new PostMessageTransport(frame.contentWindow, frame.contentWindow));
frame.srcdoc = page.text.replace("<head>", `<head><meta http-equiv="Content-Security-Policy" content="${DENY_ALL}">`);
