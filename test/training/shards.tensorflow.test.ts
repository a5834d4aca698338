import { shardsSuite } from './suites/shards.js';

shardsSuite('tensorflow');
