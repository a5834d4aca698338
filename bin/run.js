#!/usr/bin/env node
import { main } from '../dist/src/commands/main.js';

await main(process.argv.slice(2));
