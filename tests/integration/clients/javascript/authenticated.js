// Calls an agent with the public JavaScript SDK by what its card says: `node authenticated.js CARD_BASE SCHEME CREDENTIAL`.
import { randomUUID } from 'node:crypto';
import {
  ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory,
  createAuthenticatingFetchWithRetry,
} from '@a2a-js/sdk/client';
import { Role, TaskState } from '@a2a-js/sdk';

const [base, scheme, credential] = process.argv.slice(2);
const bearer = { Authorization: `Bearer ${credential}` };
const withHeaders = (headers) => createAuthenticatingFetchWithRetry(fetch, {
  headers: async () => headers,
  shouldRetryWithHeaders: async () => undefined,
});
const resolver = new DefaultAgentCardResolver({ fetchImpl: withHeaders(bearer) });
const card = await resolver.resolve(`${base}/`);

const { $case, value } = card.securitySchemes[scheme].scheme;
const headers = $case === 'apiKeySecurityScheme' ? { [value.name]: credential } : bearer;
const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {});
options.transports = [new JsonRpcTransportFactory({ fetchImpl: withHeaders(headers) })];
const client = await new ClientFactory(options).createFromAgentCard(card);
const message = { messageId: randomUUID(), role: Role.ROLE_USER, parts: [{ content: { $case: 'text', value: 'hello' } }] };
const task = await client.sendMessage({ message, configuration: { returnImmediately: false } });
const state = TaskState[task.status.state].replace('TASK_STATE_', '').toLowerCase();
console.log(JSON.stringify({ schemes: Object.keys(card.securitySchemes).sort(), state, task: task.id }));
