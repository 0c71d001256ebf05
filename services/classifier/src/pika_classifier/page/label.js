// Labels pictures with the keyboard. The next pictures are loaded before they are needed, and answers are
// sent behind the annotator's back, in order, so that a key press only changes what is shown.

const AHEAD = 12;
const RETRY_MILLISECONDS = 2000;
const WHY = {
  uncertain: "The model is unsure of this one",
  random: "A random picture",
  audit: "A random one of those that the model accepts",
};

const element = (id) => document.getElementById(id);
const parameters = new URLSearchParams(location.search);
const mode = parameters.get("mode") === "audit" ? "audit" : "learn";

const waiting = [];      // pictures to show, with their loaded images
const done = [];         // what was shown, newest last: {picture, label} with label null for a skipped one
const known = new Set(); // ids that were handed out on this page
let current = null;
let sending = Promise.resolve();
let loading = null;

const key = () => sessionStorage.getItem("api-key");
const withKey = (headers) => (key() ? { ...headers, Authorization: `Bearer ${key()}` } : headers);
const annotator = () => element("annotator").value.trim() || "anonymous";

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: withKey(body ? { "Content-Type": "application/json" } : {}),
    body: body && JSON.stringify(body),
  });
  if (answer.status === 401) {
    element("key-form").hidden = false;
    element("key").focus();
  }
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.detail || `${method} ${path}: ${answer.status}`);
  return told;
}

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Answers wait for an outage to end; what the service refuses is told and dropped.
function send(work) {
  sending = sending.then(async () => {
    for (;;) {
      try {
        showCounts(await work());
        element("message").textContent = "";
        return;
      } catch (error) {
        element("message").textContent = error.message;
        if (!(error instanceof TypeError)) return; // fetch itself fails with a TypeError
        await pause(RETRY_MILLISECONDS);
      }
    }
  });
}

function showCounts(told) {
  const sum = (label) => (told.trains?.[label] ?? 0) + (told.valids?.[label] ?? 0);
  element("counts").textContent = `${sum("pikachu")} Pikachu, ${sum("others")} others`;
}

// An <img> cannot send a key: then the script fetches the picture itself.
function prefetched(path) {
  const image = new Image();
  if (!key()) {
    image.src = path;
    return image;
  }
  fetch(path, { headers: withKey({}) }).then(async (answer) => {
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    image.src = URL.createObjectURL(await answer.blob());
    if (current?.image === image) show();
  }).catch((error) => { element("message").textContent = error.message; });
  return image;
}

function load() {
  loading ??= (async () => {
    try {
      const count = 2 * AHEAD;
      const query = new URLSearchParams({ mode, count, seed: known.size, annotator: annotator() });
      const told = await call("GET", `/labels/next?${query}`);
      for (const picture of told.pictures) {
        if (known.has(picture.id)) continue;
        known.add(picture.id);
        waiting.push({ ...picture, image: prefetched(`/images/${picture.id}`) });
      }
    } catch (error) {
      element("message").textContent = error.message;
    } finally {
      loading = null;
    }
  })();
  return loading;
}

async function next() {
  current = waiting.shift() ?? null;
  if (waiting.length < AHEAD) load().then(() => { if (!current && waiting.length) next(); });
  show();
}

function show() {
  const picture = element("picture");
  for (const id of ["pikachu", "others", "skip"]) element(id).disabled = !current;
  element("undo").disabled = !done.length;
  if (!current) {
    picture.removeAttribute("src");
    element("why").textContent = loading ? "Loading …" : "No picture is left to label.";
    return;
  }
  if (current.image.src) picture.src = current.image.src;
  else picture.removeAttribute("src"); // on its way
  element("why").textContent = WHY[current.why] ?? "";
}

function answer(label) {
  if (!current) return;
  const picture = current;
  done.push({ picture, label });
  if (label) {
    const body = { annotator: annotator(), labels: [{ id: picture.id, label, why: picture.why }] };
    send(() => call("POST", "/labels", body));
  }
  next();
}

function undo() {
  const last = done.pop();
  if (!last) return;
  if (current) waiting.unshift(current);
  current = last.picture;
  if (last.label) {
    const query = new URLSearchParams({ annotator: annotator() });
    send(() => call("DELETE", `/labels/last?${query}`));
  }
  show();
}

const actions = { pikachu: () => answer("pikachu"), others: () => answer("others"), skip: () => answer(null), undo };
for (const [id, action] of Object.entries(actions)) element(id).addEventListener("click", action);
document.addEventListener("keydown", (event) => {
  if (event.target.tagName === "INPUT" || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const button = document.querySelector(`button[data-key="${CSS.escape(event.key.toLowerCase())}"]`);
  if (button) {
    event.preventDefault();
    actions[button.id]();
  }
});

const name = element("annotator");
name.value = localStorage.getItem("annotator") ?? "";
name.addEventListener("change", () => localStorage.setItem("annotator", name.value));
element("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("api-key", element("key").value.trim());
  location.reload();
});
call("GET", "/labels?limit=0").then(showCounts, (error) => { element("message").textContent = error.message; });
load().then(next);
