'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const cases = new Map(Object.entries(data.cases));
const sources = new Map(Object.entries(data.sources));

const records = data.rows.map((row) => {
  const record = {};
  data.words.forEach((column, i) => { record[column] = data.strings[row[i]]; });
  data.numbers.forEach((column, i) => { record[column] = row[data.words.length + i]; });
  [record.size, record.dtype, record.mode] = cases.get(record.case);
  return record;
});

const MARKS = { equal: '✓', tie: '≈', different: '≠', incomplete: '?' };

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function distinct(rows, column) {
  return [...new Set(rows.map((row) => row[column]))];
}

function fillSelect(select, values, everything) {
  const options = values.map((value) => element('option', { value }, value || 'not said'));
  select.replaceChildren(...(everything ? [element('option', { value: '*' }, everything)] : []), ...options);
  select.closest('label').hidden = values.length < 2;
}

function scientific(number) {
  return number === null ? '' : number === 0 ? '0' : number.toExponential(1);
}

for (const hidden of document.querySelectorAll('[data-scripted]')) hidden.hidden = false;
