// Shows the cases that fit what is chosen. Without a script all cases are shown, and the form stays hidden.
"use strict";
const form = document.getElementById("filters");
if (form) {
  const cases = [...document.querySelectorAll(".case")];
  const fits = (data, { outcome, slots, turn, positives }) =>
    (!outcome || data.outcome === outcome) && (!turn || data.turn === turn) &&
    (!positives || data.positives === positives) && (!slots || JSON.parse(data.slots).includes(slots));
  const show = () => {
    const wanted = Object.fromEntries(new FormData(form));
    for (const one of cases) one.hidden = !fits(one.dataset, wanted);
    form.querySelector("output").value = `${cases.filter((one) => !one.hidden).length} of ${cases.length} shown`;
  };
  form.hidden = false;
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show(); // a browser may keep what was chosen over a reload
}
