// An agent built with the A2A JavaScript SDK alone (1.0). It answers by fixed rules; call your model instead.
import { setTimeout as sleep } from 'node:timers/promises';
import { Role, TaskState } from '@a2a-js/sdk';
import { AgentEvent, DefaultRequestHandler, InMemoryTaskStore } from '@a2a-js/sdk/server';
import { agentCardHandler, jsonRpcHandler, UserBuilder } from '@a2a-js/sdk/server/express';
import express from 'express';

const said = new Map();
const canceled = new Set();
const part = ($case, value, more = {}) => ({
  content: { $case, value }, metadata: undefined, filename: '', mediaType: '', ...more,
});
const textOf = ({ content, filename }) => (content.$case === 'text' ? content.value : `[${filename}]`);

class Echo {
  async execute({ taskId, contextId, userMessage, task }, bus) {
    const ids = { taskId, contextId, metadata: undefined };
    const status = (state, text) => ({
      state, timestamp: new Date().toISOString(),
      message: text && {
        messageId: crypto.randomUUID(), role: Role.ROLE_AGENT, parts: [part('text', text)], taskId, contextId,
        metadata: undefined, extensions: [], referenceTaskIds: [],
      },
    });
    const end = (state, words) => {
      bus.publish(AgentEvent.statusUpdate({ ...ids, status: status(state, words) }));
      bus.finished();
    };

    const text = userMessage.parts.map(textOf).join(' ');
    const before = said.get(contextId) ?? [];
    said.set(contextId, [...before, text]);
    bus.publish(AgentEvent.task({
      id: taskId, contextId, status: status(TaskState.TASK_STATE_WORKING), metadata: undefined,
      artifacts: task?.artifacts ?? [], history: task?.history ?? [userMessage],
    }));
    if (text === 'ask') return end(TaskState.TASK_STATE_INPUT_REQUIRED, 'Which one?');
    if (text === 'fail') return end(TaskState.TASK_STATE_FAILED, 'broken');
    for (let waited = 0; text === 'wait' && waited < 8_000; waited += 50) {
      await sleep(50);
      if (canceled.has(taskId)) return end(TaskState.TASK_STATE_CANCELED);
    }
    const parts = text === 'file'
      ? [part('raw', Buffer.from('a,b\n1,2\n'), { filename: 't.csv', mediaType: 'text/csv' })]
      : [part('text', text === 'remember' ? before.join(' ') : `You said ${text}.`)];
    const artifact = {
      artifactId: crypto.randomUUID(), name: 'answer', description: '', parts, extensions: [], metadata: { by: 'rule' },
    };
    bus.publish(AgentEvent.artifactUpdate({ ...ids, append: false, lastChunk: true, artifact }));
    end(TaskState.TASK_STATE_COMPLETED);
  }

  async cancelTask(taskId) {
    canceled.add(taskId);
  }
}

const { PORT, HOST = '0.0.0.0' } = process.env;
const card = {
  name: 'echo', description: 'Says back what it is told.', version: '1.0.0', provider: undefined,
  supportedInterfaces: [
    { url: `http://localhost:${PORT}/rpc`, protocolBinding: 'JSONRPC', protocolVersion: '1.0', tenant: '' },
  ],
  capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false, extensions: [] },
  defaultInputModes: ['text/plain'], defaultOutputModes: ['text/plain'], signatures: [],
  securitySchemes: {}, securityRequirements: [],
  skills: [{
    id: 'say', name: 'Say', description: 'Says it back.', tags: ['echo'], examples: [], inputModes: [],
    outputModes: [], securityRequirements: [],
  }],
};
const requestHandler = new DefaultRequestHandler(card, new InMemoryTaskStore(), new Echo());
const app = express();
app.use('/.well-known/agent-card.json', agentCardHandler({ agentCardProvider: requestHandler }));
app.use('/rpc', jsonRpcHandler({ requestHandler, userBuilder: UserBuilder.noAuthentication }));
app.listen(Number(PORT), HOST);
