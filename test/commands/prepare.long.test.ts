import { FAULTS, testFault } from '../helpers/download-faults.js';

for (const fault of FAULTS.slice(1, -1)) testFault(fault);
