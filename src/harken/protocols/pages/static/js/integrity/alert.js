/** One alert as an element: what was found, the evidence, and what a person can do. */

/** Kinds of alerts that name somebody who can be set aside. */
const NAMING = ['reader', 'session', 'kblock'];

/**
 * @param {Api.Alert} alert
 * @param {{setAside: (alert: Api.Alert) => void, dismiss: (alert: Api.Alert) => void}} acts
 */
export function shownAlert(alert, { setAside, dismiss }) {
  const item = document.createElement('li');
  const title = element('h3', `${alert.detector}: ${alert.kind} ${alert.id}`);
  const when = [alert.began_at, alert.ended_at].map((at) => (at ?? '').slice(0, 16).replace('T', ' '));
  const facts = `Score ${alert.score.toFixed(3)}; ${when.join(' to ')}.`;
  item.append(title, element('p', alert.words), element('p', facts, 'small muted'), evidence(alert));
  if (alert.state !== 'open') {
    const by = alert.decided_by ? ` by ${alert.decided_by}` : '';
    item.append(element('p', `${alert.state}${by}${alert.note ? `: ${alert.note}` : ''}`, 'small muted'));
    return item;
  }
  const row = document.createElement('div');
  row.className = 'row';
  if (NAMING.includes(alert.kind)) row.append(button('Set aside…', alert, () => setAside(alert)));
  row.append(button('Dismiss…', alert, () => dismiss(alert)));
  item.append(row);
  return item;
}

/** @param {Api.Alert} alert */
function evidence(alert) {
  const details = document.createElement('details');
  const figures = document.createElement('dl');
  for (const [name, value] of Object.entries(alert.figures)) {
    figures.append(element('dt', name.replaceAll('_', ' ')), element('dd', String(value)));
  }
  details.append(element('summary', 'Evidence in figures'), figures);
  return details;
}

/** @param {string} name @param {string} text @param {string} [className] */
function element(name, text, className = '') {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

/** @param {string} label @param {Api.Alert} alert @param {() => void} act */
function button(label, alert, act) {
  const made = Object.assign(document.createElement('button'), {
    type: 'button', textContent: label, className: 'small',
  });
  made.setAttribute('aria-label', `${label.replace('…', '')}: ${alert.detector}, ${alert.kind} ${alert.id}`);
  made.addEventListener('click', act);
  return made;
}
