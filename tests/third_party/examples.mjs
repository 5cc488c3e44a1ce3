// The TypeScript client makes the README's calls, one after the other, in one session:
//   node --input-type=module - URL '[["tool", {...}], ...]'   <examples.mjs
// SESSION and CURSOR stand for what the answers before said. Prints the answers as one line of JSON.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, calls] = process.argv.slice(2);
const client = new Client({ name: 'reader', version: '0' }, { capabilities: {}, versionNegotiation: { mode: 'auto' } });
const answers = [];
let session = 'SESSION';
let cursor = 'CURSOR';

await client.connect(new StreamableHTTPClientTransport(new URL(url)));
try {
  await client.listTools(); // so that each answer is checked against its schema
  for (const [name, example] of JSON.parse(calls)) {
    const filled = JSON.stringify(example).replaceAll('SESSION', session).replaceAll('CURSOR', cursor);
    const answer = await client.callTool({ name, arguments: JSON.parse(filled) });
    answers.push(answer);
    session = answer.structuredContent?.session_id ?? session;
    cursor = answer.structuredContent?.cursor ?? cursor;
  }
  console.log(JSON.stringify(answers));
} finally {
  await client.close();
}
