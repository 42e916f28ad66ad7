// A Mastra agent, served by Mastra's server on Hono.
import { serve } from '@hono/node-server';
import { Agent } from '@mastra/core/agent';
import { Mastra } from '@mastra/core/mastra';
import { MastraServer } from '@mastra/hono';
import { InMemoryTaskStore } from '@mastra/server/a2a/store';
import { Hono } from 'hono';
import { model } from './model.mjs';

const echo = new Agent({ id: 'echo', name: 'echo', instructions: 'Says back what it is told.', model });
const mastra = new Mastra({ agents: { echo } });
const app = new Hono();
await new MastraServer({ app, mastra, taskStore: new InMemoryTaskStore() }).init();
serve({ fetch: app.fetch, port: Number(process.env.PORT), hostname: process.env.HOST ?? '0.0.0.0' });
