// One judge's answers: kept in this browser as they are given, and saved as a JSON file.
"use strict";
const get = (id) => document.getElementById(id);
const root = get("form"), questions = [...document.querySelectorAll(".question")];
const turns = questions.map((one) => one.dataset.turn), place = `semantic-judge-${root.dataset.form}`;
const choices = [...document.querySelectorAll(".choice")];
const names = choices.map((one) => one.dataset.choice);
let state = { judge: "", answers: {}, at: 0 };

const say = (text) => {
  get("message").textContent = text;
  get("message").hidden = !text;
};

const keep = () => {
  try {
    localStorage.setItem(place, JSON.stringify(state));
  } catch {
    say("This browser does not keep answers: save them before you close the page.");
  }
};

const restore = () => {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    if (!kept || typeof kept.judge !== "string" || typeof kept.answers !== "object" || !kept.answers) return;
    const answers = Object.entries(kept.answers).filter(([turn, one]) => turns.includes(turn) && names.includes(one));
    const at = Number.isInteger(kept.at) ? Math.min(Math.max(kept.at, 0), turns.length) : 0;
    state = { judge: kept.judge, answers: Object.fromEntries(answers), at };
  } catch {
    say("This browser does not keep answers: save them before you close the page.");
  }
};

const count = () => Object.keys(state.answers).length;

const show = (focus) => {
  const begun = state.judge !== "", ended = state.at === turns.length;
  get("intro").hidden = begun;
  get("save").hidden = !begun || ended;
  get("choices").hidden = !begun;
  get("end").hidden = !begun || !ended;
  questions.forEach((one, number) => { one.hidden = !begun || number !== state.at; });
  for (const one of choices) {
    one.disabled = ended;
    one.setAttribute("aria-pressed", String(state.answers[turns[state.at]] === one.dataset.choice));
  }
  get("back").disabled = state.at === 0;
  get("forward").disabled = ended;
  document.querySelector("progress").value = count();
  get("progress").textContent = begun ? `${state.judge}: ${count()} of ${turns.length} answered` : "";
  if (ended) {
    const left = turns.filter((turn) => !(turn in state.answers));
    get("end").querySelector("h2").textContent =
      left.length ? `Not answered yet: turn ${left.join(", ")}` : `All ${turns.length} turns are answered`;
  }
  if (focus && begun) {
    (ended ? get("end") : questions[state.at]).querySelector("h2").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
};

const go = (step) => {
  state.at = Math.min(Math.max(state.at + step, 0), turns.length);
  say("");
  keep();
  show(true);
};

const choose = (choice) => {
  if (state.at === turns.length) return;
  state.answers[turns[state.at]] = choice;
  go(1);
};

const save = () => {
  const answers = Object.fromEntries(turns.filter((turn) => turn in state.answers).map((turn) => [turn, state.answers[turn]]));
  const values = { format: "semantic-judge-answers", form: root.dataset.form, judge: state.judge, answers };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(values, null, 1) + "\n"], { type: "application/json" }));
  link.download = `answers-${state.judge.replace(/[^\p{L}\p{N}]+/gu, "_")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // some browsers read it after the click
  say(`Saved ${count()} of ${turns.length} answers as ${link.download}.`);
};

get("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  state.judge = get("judge").value.trim().replace(/\s+/g, " ");
  keep();
  show(true);
});
for (const one of choices) one.addEventListener("click", () => choose(one.dataset.choice));
get("back").addEventListener("click", () => go(-1));
get("forward").addEventListener("click", () => go(1));
get("save").addEventListener("click", save);
get("save-end").addEventListener("click", save);
get("again").addEventListener("click", () => {
  if (!confirm("Forget the answers in this browser? Those that are saved stay in their file.")) return;
  state = { judge: "", answers: {}, at: 0 };
  say("");
  keep();
  show(false);
});
document.addEventListener("keydown", (event) => {
  if (!state.judge || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  const actions = { 1: () => choose("left"), 2: () => choose("tie"), 3: () => choose("right"), ArrowLeft: () => go(-1), ArrowRight: () => go(1) };
  if (!(event.key in actions)) return;
  event.preventDefault();
  actions[event.key]();
});

restore();
root.hidden = false;
show(false);
