/** Work that is done again and again, while the page can be seen and nobody paused it. */

/**
 * @typedef {object} Job
 * @property {number} seconds the least between two runs
 * @property {() => Promise<void>} run
 * @property {number} dueAt
 * @property {boolean} isRunning
 */

/** What takes long to compute is asked for so many times as rarely as it takes. */
const RESTRAINT = 30;

export class Refreshing {
  constructor() {
    /** @type {Job[]} */
    this._jobs = [];
    this.isPaused = false;
  }

  /** @param {number} seconds @param {() => Promise<void>} run */
  every(seconds, run) {
    this._jobs.push({ seconds, run, dueAt: 0, isRunning: false });
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

/** @param {Job} job */
async function run(job) {
  const began = performance.now();
  job.isRunning = true;
  try {
    await job.run();
  } finally {
    const took = performance.now() - began;
    job.dueAt = performance.now() + Math.max(job.seconds * 1_000, RESTRAINT * took);
    job.isRunning = false;
  }
}
