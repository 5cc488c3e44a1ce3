// The TypeScript client in one era against one server; prints what it got as one line of JSON.
//   node --input-type=module - legacy|auto http URL   <client.mjs
//   node --input-type=module - legacy|auto stdio COMMAND [ARGUMENT...]   <client.mjs
// It comes through standard input because bare imports are then looked up from the working directory, .third_party/.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [era, kind, target, ...rest] = process.argv.slice(2);
const transport =
  kind === 'http'
    ? new StreamableHTTPClientTransport(new URL(target))
    : new StdioClientTransport({ command: target, args: rest, stderr: 'ignore' });
const client = new Client({ name: 'third-party', version: '0' }, { capabilities: {}, versionNegotiation: { mode: era } });

await client.connect(transport);
try {
  const { tools } = await client.listTools();
  // callTool throws when structured content is missing or does not fit the output schema that was just listed.
  const call = (name, args) => client.callTool({ name, arguments: args });
  const created = await call('devin_create_session', { prompt: 'Rename the flag --old to --new', tags: ['third-party'] });
  const read = await call('devin_get_session', { session_id: created.structuredContent?.session_id });
  const refused = await call('devin_get_session', { sesion_id: created.structuredContent?.session_id });
  const { resources } = await client.listResources();
  const note = await client.readResource({ uri: 'devin://knowledge/note-0001' });
  const { prompts } = await client.listPrompts();
  const prompt = await client.getPrompt({ name: 'upgrade', arguments: { task: 'Upgrade the parser' } });
  const ref = { type: 'ref/resource', uri: 'devin://playbooks/{playbook_id}' };
  const { completion } = await client.complete({ ref, argument: { name: 'playbook_id', value: 'upg' } });
  const revision = client.getNegotiatedProtocolVersion();
  console.log(JSON.stringify({ revision, server: client.getServerVersion(), tools, created, read, refused, resources, note, prompts, prompt, completion }));
} finally {
  await client.close();
}
