// A model that answers by fixed rules, without an API key, for the example and the tests. Replace it with your own.
import { setTimeout as sleep } from 'node:timers/promises';

async function answer(prompt) {
  const parts = prompt.filter(({ role }) => role === 'user').flatMap(({ content }) => content);
  const said = parts.map((part) => (part.type === 'text' ? part.text : `[${part.mediaType}]`));
  const last = said.pop();
  if (last === 'fail') throw new Error('broken');
  if (last === 'wait') await sleep(8_000);
  return last === 'remember' ? said.join(' ') : `You said ${last}.`;
}

const usage = { inputTokens: 1, outputTokens: 1, totalTokens: 2 };

export const model = {
  specificationVersion: 'v2',
  provider: 'rules',
  modelId: 'rules',
  supportedUrls: {},
  async doGenerate({ prompt }) {
    return { content: [{ type: 'text', text: await answer(prompt) }], finishReason: 'stop', usage, warnings: [] };
  },
  async doStream({ prompt }) {
    const text = await answer(prompt);
    const events = [
      { type: 'stream-start', warnings: [] },
      { type: 'text-start', id: '1' },
      { type: 'text-delta', id: '1', delta: text },
      { type: 'text-end', id: '1' },
      { type: 'finish', finishReason: 'stop', usage },
    ];
    return { stream: ReadableStream.from(events) };
  },
};
