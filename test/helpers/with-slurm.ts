import test from 'ava';
import { hasSlurm } from './slurm.js';

/** Declares tests with a Slurm of their own, one after the other; skipped where it is not installed. */
export const withSlurm = hasSlurm ? test.serial : test.serial.skip;
