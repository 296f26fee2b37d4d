/** Entry point of the page of alerts: its lists, and what a person does with them. */

import { fill, download } from '../dashboard/table.js';
import { json } from '../http.js';
import { Panel } from '../dashboard/panel.js';
import { toast } from '../toast.js';
import { shownAlert } from './alert.js';
import { askToAct } from './act-dialog.js';

const MOST = 100;
const alerts = new Panel('alerts');
const aside = new Panel('aside');
const audit = new Panel('audit');
const state = /** @type {HTMLSelectElement} */ (document.getElementById('alerts-state'));
const list = /** @type {HTMLElement} */ (document.getElementById('alerts-list'));

state.addEventListener('change', showAlerts);
document.addEventListener('click', (event) => {
  const button = /** @type {Element} */ (event.target).closest('[data-csv]');
  if (button instanceof HTMLElement) download(button.dataset.csv ?? '');
});
await showAll();

async function showAll() {
  await Promise.all([showAlerts(), showAside(), showAudit()]);
}

async function showAlerts() {
  await alerts.fill(async () => {
    const wanted = state.value ? `&state=${state.value}` : '';
    const found = await json(`/api/integrity/alerts?limit=${MOST}${wanted}`);
    const count = /** @type {HTMLElement} */ (document.getElementById('alerts-count'));
    count.textContent = found.total > MOST ? `The ${MOST} most suspect of ${found.total}.` : '';
    list.replaceChildren(...found.alerts.map((/** @type {Api.Alert} */ each) => shownAlert(each, { setAside, dismiss })));
    return found.alerts.length ? undefined
      : 'There are no such alerts. `harken detect` looks for them, and so does the server with `HARKEN_DETECT_EVERY`.';
  });
}

async function showAside() {
  await aside.fill(async () => {
    /** @type {{quarantines: Api.Aside[]}} */
    const { quarantines } = await json(`/api/integrity/quarantines?limit=${MOST}`);
    fill('aside-table', [
      { label: 'What', of: (/** @type {Api.Aside} */ row) => `${row.target} ${row.id}` },
      { label: 'Change', isOnlyShown: true, of: (row) => row.id, show: (_id, row) => releaseButton(row) },
      { label: 'Events', kind: 'number', of: (row) => row.events },
      { label: 'Since (UTC)', kind: 'time', of: (row) => row.since },
      { label: 'By', of: (row) => row.by },
      { label: 'Reason', of: (row) => row.reason },
    ], quarantines);
    return quarantines.length ? undefined : 'Nothing is set aside.';
  });
}

async function showAudit() {
  await audit.fill(async () => {
    /** @type {{acts: Api.Act[]}} */
    const { acts } = await json(`/api/integrity/quarantines/audit?limit=${MOST}`);
    fill('audit-table', [
      { label: 'Act', of: (/** @type {Api.Act} */ row) => `${row.act} ${row.target} ${row.id ?? '(erased)'}` },
      { label: 'Events', kind: 'number', of: (row) => row.events },
      { label: 'At (UTC)', kind: 'time', of: (row) => row.at },
      { label: 'By', of: (row) => row.by },
      { label: 'Reason', of: (row) => row.reason },
    ], acts);
    return acts.length ? undefined : 'Nothing was ever set aside.';
  });
}

/** @param {Api.Alert} alert */
async function setAside(alert) {
  const { members } = await json(`/api/integrity/alerts/${encodeURIComponent(alert.alert_id)}`);
  const isSession = alert.kind === 'session';
  askToAct({
    title: isSession ? 'Set this session aside?' : 'Set these readers aside?',
    text: 'Their events are kept and count nothing, until you release them. Events that come later count nothing either.',
    go: 'Set aside',
    members: isSession ? [alert.id] : members,
    reason: alert.words,
    isLarge: true,
    act: async ({ ids, reason, confirm }) => {
      const done = await json('/api/integrity/quarantines', {
        method: 'POST',
        body: { target: isSession ? 'session' : 'reader', ids, reason, confirm, alert_id: alert.alert_id },
      });
      await showAll();
      toast(`Set aside: ${done.events} events of ${done.readers} readers.`);
    },
  });
}

/** @param {Api.Alert} alert */
function dismiss(alert) {
  askToAct({
    title: 'Dismiss this alert?',
    text: 'It is listed as dismissed. It opens again if the same is found in later events.',
    go: 'Dismiss',
    act: async ({ reason }) => {
      const path = `/api/integrity/alerts/${encodeURIComponent(alert.alert_id)}/dismissal`;
      await json(path, { method: 'POST', body: { note: reason } });
      await showAlerts();
      toast('The alert is dismissed.');
    },
  });
}

/** @param {Api.Aside} row */
function releaseButton(row) {
  const button = Object.assign(document.createElement('button'), {
    type: 'button', textContent: 'Release…', className: 'small',
  });
  button.setAttribute('aria-label', `Release ${row.target} ${row.id}`);
  button.addEventListener('click', () => askToAct({
    title: `Release this ${row.target}?`,
    text: `${row.events} events of ${row.target} ${row.id} count again, exactly as before.`,
    go: 'Release',
    act: async ({ reason }) => {
      const body = { target: row.target, ids: [row.id], reason };
      const done = await json('/api/integrity/quarantines/release', { method: 'POST', body });
      await showAll();
      toast(`Released: ${done.events} events count again.`);
    },
  }));
  return button;
}
