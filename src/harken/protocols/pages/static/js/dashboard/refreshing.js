/** Repeated jobs, which run while the page is visible and not paused. */

/**
 * @typedef {object} Job
 * @property {number} seconds the shortest pause between two runs
 * @property {number} pauseFactor the shortest pause, as a multiple of the duration of a run
 * @property {() => Promise<void>} run
 * @property {number} dueAt milliseconds, by `performance.now()`
 * @property {boolean} isRunning
 * @property {boolean} isRequested whether it must run again after the present run
 */

export class Refreshing {
  constructor() {
    /** @type {Job[]} */
    this._jobs = [];
    this.isPaused = false;
  }

  /** @param {number} seconds @param {() => Promise<void>} run @param {number} [pauseFactor] */
  add(seconds, run, pauseFactor = 1) {
    this._jobs.push({ seconds, pauseFactor, run, dueAt: 0, isRunning: false, isRequested: false });
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

  /** Run jobs now, even while paused. @param {...(() => Promise<void>)} which default: all */
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

/** Run a job. If it is running, it runs again afterwards, because its parameters may have changed. @param {Job} job */
async function run(job) {
  job.isRequested = true;
  if (job.isRunning) return;
  const began = performance.now();
  job.isRunning = true;
  try {
    while (job.isRequested) {
      job.isRequested = false;
      await job.run();
    }
  } finally {
    const took = performance.now() - began;
    job.dueAt = performance.now() + Math.max(job.seconds * 1_000, job.pauseFactor * took);
    job.isRunning = false;
  }
}
