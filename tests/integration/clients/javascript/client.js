// The scenarios with the public JavaScript SDK: `node client.js CARD_BASE BINDING WEBHOOK`; prints what it saw as JSON.
import { randomUUID } from 'node:crypto';
import { ClientFactory, ClientFactoryOptions, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client';
import { Role, TaskState } from '@a2a-js/sdk';

const [base, binding, webhook] = process.argv.slice(2);
const transport = binding === 'JSONRPC' ? new JsonRpcTransportFactory() : new RestTransportFactory();
const options = ClientFactoryOptions.createFrom(ClientFactoryOptions.default, {});
options.transports = [transport];
const client = await new ClientFactory(options).createFromUrl(`${base}/`);

const request = (text, { atOnce = false, ...more } = {}) => ({
  message: { messageId: randomUUID(), role: Role.ROLE_USER, parts: [{ content: { $case: 'text', value: text } }], ...more },
  configuration: { returnImmediately: atOnce },
});
const state = (status) => TaskState[status.state].replace('TASK_STATE_', '');
const text = (artifact) => artifact.parts[0].content.value;
const seen = ({ payload }) => {
  if (payload.$case === 'artifactUpdate') return text(payload.value.artifact);
  return state(payload.value.status);
};
const all = async (events) => {
  const found = [];
  for await (const event of events) found.push(seen(event));
  return found;
};

const found = {};
const card = await client.getAgentCard();
found.card = [card.name, [...new Set(card.supportedInterfaces.map((each) => each.protocolBinding))].sort()];
const task = await client.sendMessage(request('hello'));
found.send = [state(task.status), text(task.artifacts[0])];
found.get = state((await client.getTask({ id: task.id })).status);
found.stream = await all(client.sendMessageStream(request('pieces')));
const asked = await client.sendMessage(request('ask'));
const answered = await client.sendMessage(request('apples', { taskId: asked.id }));
found.turns = [state(asked.status), state(answered.status), answered.id === asked.id];
const listed = await client.listTasks({ pageSize: 2 });
found.list = [listed.tasks.length, listed.totalSize, listed.nextPageToken !== ''];
const waiting = await client.sendMessage(request('wait', { atOnce: true }));
found.cancel = state((await client.cancelTask({ id: waiting.id })).status);
const slow = await client.sendMessage(request('slow', { atOnce: true }));
await client.createTaskPushNotificationConfig({ taskId: slow.id, id: '', url: webhook, token: 'secret', tenant: '' });
found.resubscribe = await all(client.resubscribeTask({ id: slow.id }));
found.pushed = slow.id;
console.log(JSON.stringify(found));
