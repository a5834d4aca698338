// Preloaded into each process that fcn nightly times. When the process ends, this writes its processor time (user and system,
// all threads, in seconds) to file descriptor 3.
import fs = require('node:fs');

process.once('exit', () => {
  const { user, system } = process.cpuUsage();
  fs.writeSync(3, String((user + system) / 1e6));
});
