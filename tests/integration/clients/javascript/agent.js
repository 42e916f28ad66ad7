// An agent built with the public JavaScript SDK, unchanged: `node agent.js PORT [old]`. `old` makes it speak 0.3 only.
// It answers as the plain container of test_clients.py does, and says on standard output what was cancelled.
import { setTimeout as sleep } from 'node:timers/promises';
import express from 'express';
import { Role, TaskState } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';

const [port, old] = process.argv.slice(2);
const PAUSE = { pieces: 50, slow: 1500, wait: 60_000 };
const canceled = new Set();

const part = (value) => ({ content: { $case: 'text', value }, metadata: undefined, filename: '', mediaType: '' });

class Agent {
  async execute({ taskId, contextId, userMessage, task }, bus) {
    const ids = { taskId, contextId, metadata: undefined };
    const status = (state, text) => {
      const message = text && {
        messageId: `${taskId}-said`, role: Role.ROLE_AGENT, parts: [part(text)], taskId, contextId,
        metadata: undefined, extensions: [], referenceTaskIds: [],
      };
      return { state, message: message || undefined, timestamp: new Date().toISOString() };
    };
    const say = (value, name) =>
      bus.publish(AgentEvent.artifactUpdate({
        ...ids, append: false, lastChunk: true,
        artifact: { artifactId: `${taskId}-${name}`, name: '', description: '', parts: [part(value)], extensions: [] },
      }));
    const end = (state, text) => {
      bus.publish(AgentEvent.statusUpdate({ ...ids, status: status(state, text) }));
      bus.finished();
    };

    const text = userMessage.parts[0].content.value;
    bus.publish(AgentEvent.task({
      id: taskId, contextId, status: status(TaskState.TASK_STATE_WORKING), metadata: undefined,
      artifacts: task?.artifacts ?? [], history: task?.history ?? [userMessage],
    }));
    if (text === 'ask') return end(TaskState.TASK_STATE_INPUT_REQUIRED, 'which?');
    if (!(text in PAUSE)) {
      say(`${text} to you`, 'answer');
      return end(TaskState.TASK_STATE_COMPLETED);
    }
    for (const word of ['one', 'two']) {
      say(word, word);
      for (let waited = 0; waited < PAUSE[text]; waited += 50) {
        await sleep(50);
        if (canceled.has(taskId)) return end(TaskState.TASK_STATE_CANCELED);
      }
    }
    end(TaskState.TASK_STATE_COMPLETED);
  }

  async cancelTask(taskId) {
    console.log(`canceled ${taskId}`);
    canceled.add(taskId);
  }
}

const card = {
  name: 'echo', description: 'Echoes.', version: '1', provider: undefined, securitySchemes: {}, securityRequirements: [],
  supportedInterfaces: [
    { url: 'http://agent.invalid/rpc', protocolBinding: 'JSONRPC', protocolVersion: old ? '0.3' : '1.0', tenant: '' },
  ],
  capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false, extensions: [] },
  defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'], signatures: [],
  skills: [{
    id: 'say', name: 'Say', description: 'Says.', tags: ['x'], examples: [], inputModes: [], outputModes: [],
    securityRequirements: [],
  }],
};
const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new Agent());
const legacyCompat = { enabled: Boolean(old) };
const app = express();
app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler, legacyCompat }));
app.use('/rpc', jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication, legacyCompat }));
app.listen(Number(port), '127.0.0.1', () => console.log('listening'));
