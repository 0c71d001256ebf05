// The stack's first page: a wall of freshly drawn pictures, a question to the classifier, models and jobs.
// All of it through the public interface, as any other client would do it.

const NUM_PICTURES = 18;
const JOBS_MILLISECONDS = 5000;

const element = (id) => document.getElementById(id);
const key = () => sessionStorage.getItem("api-key");
const number = (value, digits = 2) => (typeof value === "number" ? value.toFixed(digits) : "–");

// Throws an Error with the problem's own words.
async function call(path, options = {}) {
  const headers = { Accept: "application/json", ...options.headers };
  if (key()) headers.Authorization = `Bearer ${key()}`;
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) element("key-form").hidden = false;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail || `${path} was answered ${answer.status}`);
  return told;
}

function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

async function drawWall() {
  const wall = element("wall"), button = element("redraw");
  button.disabled = true;
  wall.setAttribute("aria-busy", "true");
  element("wall-status").textContent = wall.children.length ? "" : "Drawing …";
  try {
    const told = await call(`/generate?n=${NUM_PICTURES}&response_format=b64_json`);
    for (const image of wall.querySelectorAll("img")) URL.revokeObjectURL(image.src);
    wall.replaceChildren(...told.data.map((picture) => {
      const image = new Image();
      image.alt = `Drawn from seed ${picture.seed}`;
      image.src = URL.createObjectURL(new Blob([bytesOf(picture.b64_json)], { type: `image/${told.format}` }));
      const link = document.createElement("a");
      // A link cannot send a key: with one it shows the picture that is here already.
      link.href = key() ? image.src : `/generate?seed=${picture.seed}&size=512&model_version=${told.model_version}`;
      link.title = `Seed ${picture.seed}`;
      link.append(image);
      const item = document.createElement("li");
      item.append(link);
      return item;
    }));
    element("wall-status").textContent = `${told.data.length} pictures by ${told.model_version}, none chosen.`;
  } catch (error) {
    element("wall-status").textContent = error.message;
  } finally {
    button.disabled = false;
    wall.setAttribute("aria-busy", "false");
  }
}

async function ask(file) {
  if (!file) return;
  const preview = element("preview"), answer = element("answer");
  if (preview.src) URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(file);
  element("asked").hidden = false;
  answer.textContent = "Looking …";
  try {
    const told = await call("/is-pikachu", {
      method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" },
    });
    const percent = (value) => `${(100 * value).toFixed(0)} %`;
    const verdict = told.is_pikachu ? "Yes, that is Pikachu." : "No, that is not Pikachu.";
    const unlike = told.novelty > 1 ? " It is unlike anything the classifier has seen." : "";
    answer.textContent =
      `${verdict} Probability ${percent(told.probability)}; ${percent(told.threshold)} is enough.${unlike}`;
  } catch (error) {
    answer.textContent = error.message;
  }
}

function listModel(name, text) {
  const term = document.createElement("dt"), description = document.createElement("dd");
  term.textContent = name;
  description.textContent = text;
  element("models").append(term, description);
}

async function showModels() {
  const kinds = [
    ["GAN", "/gan/models/current", (card) => `KID × 1000 ${number(1000 * card.evaluation?.kid, 0)}, recall ${number(card.evaluation?.recall)}`],
    ["Classifier", "/classifier/models/current", (card) => `ROC-AUC ${number(card.validation?.roc_auc, 3)}`],
  ];
  for (const [name, path, figures] of kinds) {
    try {
      const { current, card } = await call(path);
      const date = new Date(card.published_at).toLocaleString();
      listModel(name, `${current}, ${date}: ${figures(card)}`);
    } catch (error) {
      listModel(name, error.message);
    }
  }
}

function howFar(job) {
  if (!job.ended_at) return job.progress.message;
  return `took ${Math.round((new Date(job.ended_at) - new Date(job.started_at)) / 1000)} s`;
}

async function showJobs() {
  if (document.hidden) return;
  try {
    const { jobs } = await call("/jobs?limit=5");
    element("jobs").hidden = !jobs.length;
    element("jobs-status").textContent = jobs.length ? "" : "There are no jobs yet.";
    element("jobs").tBodies[0].replaceChildren(...jobs.map((job) => {
      const row = document.createElement("tr");
      for (const text of [job.name, job.status, job.error ?? howFar(job)]) {
        row.insertCell().textContent = text;
      }
      return row;
    }));
  } catch (error) {
    element("jobs-status").textContent = error.message;
  }
}

element("redraw").addEventListener("click", drawWall);
element("file").addEventListener("change", (event) => ask(event.target.files[0]));
const drop = element("drop");
for (const [name, isOver] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", isOver);
    if (name === "drop") ask(event.dataTransfer.files[0]);
  });
}
document.addEventListener("paste", (event) => ask(event.clipboardData.files[0]));
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("api-key", element("key").value.trim());
  location.reload();
});

drawWall();
showModels();
showJobs();
setInterval(showJobs, JOBS_MILLISECONDS);
