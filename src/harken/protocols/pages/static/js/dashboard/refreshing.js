/** Work that is done again and again, while the page can be seen and nobody paused it. */

/**
 * @typedef {object} Job
 * @property {number} seconds the least between two runs
 * @property {number} restraint the least between two runs, in multiples of how long one takes
 * @property {() => Promise<void>} run
 * @property {number} dueAt
 * @property {boolean} isRunning
 * @property {boolean} isWanted whether it is to run once more when it has run
 */

export class Refreshing {
  constructor() {
    /** @type {Job[]} */
    this._jobs = [];
    this.isPaused = false;
  }

  /** @param {number} seconds @param {() => Promise<void>} run @param {number} [restraint] */
  every(seconds, run, restraint = 1) {
    this._jobs.push({ seconds, restraint, run, dueAt: 0, isRunning: false, isWanted: false });
  }

  start() {
    document.addEventListener('visibilitychange', () => this._tick());
    setInterval(() => this._tick(), 500);
    this._tick();
  }

  /** @param {boolean} isPaused */
  pause(isPaused) {
    this.isPaused = isPaused;
    this._tick();
  }

  /** Run jobs now, also while paused. @param {...(() => Promise<void>)} which else all */
  async now(...which) {
    const jobs = this._jobs.filter((job) => !which.length || which.includes(job.run));
    await Promise.all(jobs.map((job) => run(job)));
  }

  _tick() {
    if (document.hidden || this.isPaused) return;
    for (const job of this._jobs) {
      if (!job.isRunning && performance.now() >= job.dueAt) run(job);
    }
  }
}

/** Run a job; one that runs already runs again afterwards, as what it goes by may be another now. @param {Job} job */
async function run(job) {
  job.isWanted = true;
  if (job.isRunning) return;
  const began = performance.now();
  job.isRunning = true;
  try {
    while (job.isWanted) {
      job.isWanted = false;
      await job.run();
    }
  } finally {
    const took = performance.now() - began;
    job.dueAt = performance.now() + Math.max(job.seconds * 1_000, job.restraint * took);
    job.isRunning = false;
  }
}
