// The result in words: who is there, the joints of one person in a table.

import { readable, type Person, type Skeleton } from './people';

export interface Panel {
  people: HTMLFieldSetElement;
  table: HTMLElement;
  caption: HTMLElement;
  joints: HTMLElement;
}

/** A radio button a person; none for nobody. */
export function showPeople(panel: Panel, people: readonly Person[], picked: number): void {
  const buttons = [...panel.people.querySelectorAll('label')];
  panel.people.hidden = people.length === 0;
  people.forEach((person, n) => {
    const label = buttons[n] ?? panel.people.appendChild(personButton(n));
    label.querySelector('input')!.checked = n === picked;
    label.querySelector('span')!.textContent = `Person ${n + 1} · ${percent(person.score)}`;
  });
  for (const label of buttons.slice(people.length)) label.remove();
}

function personButton(number: number): HTMLLabelElement {
  const label = document.createElement('label');
  const input = document.createElement('input');
  Object.assign(input, { type: 'radio', name: 'person', value: String(number) });
  label.append(input, document.createElement('span'));
  return label;
}

/** The joints of a person; rows are kept from frame to frame so that focus and pointer stay where they are. */
export function showJoints(panel: Panel, person: Person | undefined, skeleton: Skeleton, number: number): void {
  panel.table.hidden = !person;
  if (!person) return;
  panel.caption.textContent = `Joints of person ${number + 1}, in pixels of the image`;
  while (panel.joints.children.length > skeleton.keypoints.length) panel.joints.lastElementChild!.remove();
  skeleton.keypoints.forEach((name, k) => {
    const row = (panel.joints.children[k] as HTMLTableRowElement | undefined) ?? panel.joints.appendChild(emptyRow(k));
    const [x, y] = person.points[k]!;
    const present = person.present[k]!;
    const texts = [readable(name), present ? x.toFixed(1) : '–', present ? y.toFixed(1) : '–'];
    texts.forEach((text, column) => (row.cells[column]!.textContent = text));
    const score = row.cells[3]!;
    score.querySelector('span')!.textContent = person.scores[k]!.toFixed(2);
    score.querySelector('meter')!.value = person.scores[k]!;
    row.classList.toggle('absent', !present);
  });
}

function emptyRow(joint: number): HTMLTableRowElement {
  const row = document.createElement('tr');
  row.dataset.joint = String(joint);
  const head = document.createElement('th');
  head.scope = 'row';
  const meter = Object.assign(document.createElement('meter'), { min: 0, max: 1 });
  meter.setAttribute('aria-hidden', 'true');
  const score = document.createElement('td');
  score.append(meter, document.createElement('span'));
  row.append(head, document.createElement('td'), document.createElement('td'), score);
  return row;
}

/** The result as a sentence, for everyone and for screen readers; without scores, which change from frame to frame. */
export function sentence(people: readonly Person[], withScores: boolean): string {
  if (people.length === 0) return 'No one was found.';
  const scores = withScores ? ` (${people.map(({ score }) => percent(score)).join(', ')})` : '';
  return `${people.length === 1 ? '1 person' : `${people.length} people`} found${scores}.`;
}

function percent(score: number): string {
  return `${Math.round(score * 100)} %`;
}
