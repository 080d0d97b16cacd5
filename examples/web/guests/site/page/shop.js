// The page of the shop: shows the cart of this session, and tells it what was clicked. The cookie of the session is
// made by the host, and no script sees it.
"use strict";

/** How often the page looks at its cart without a click, and how often it clicks by itself, in milliseconds. */
const LOOK_EVERY = 1500;
const CLICK_EVERY = 120;

const byId = (id) => document.getElementById(id);
const money = new Intl.NumberFormat("en", { style: "currency", currency: "EUR" });
const euros = (cents) => money.format(cents / 100);

/** What is shown: which release answered last, and after how many changes of the cart. */
const shown = { release: "", changes: -1 };
const tally = { clicks: 0, answered: 0, failed: 0 };
/** What there is to buy, by its sku. */
const goods = new Map();
/** The lines of the cart on the page, by sku. They stay when they are empty, so that nobody loses the focus. */
const lines = new Map();

function say(text, kind) {
  const said = byId("said");
  said.textContent = text;
  said.className = kind;
}

/** Asks the host; its status, and what it answered where that is JSON. */
async function ask(method, path, body) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
  return { status: response.status, answer: isJson ? await response.json() : {} };
}

function count() {
  for (const [name, number] of Object.entries(tally)) byId(name).textContent = number;
}

/** One click on something that changes the cart. */
async function click(path, body) {
  tally.clicks += 1;
  count();
  try {
    const { status, answer } = await ask("POST", path, body);
    if (status === 200) {
      tally.answered += 1;
      show(answer);
    } else if (status < 500) {
      // The cart said no, with a reason: that is an answer.
      tally.answered += 1;
      say(`That was refused: ${answer.error}.`, "bad");
    } else {
      tally.failed += 1;
      say(`That click failed with ${status}.`, "bad");
    }
  } catch {
    tally.failed += 1;
    say("The shop cannot be reached.", "bad");
  }
  count();
}

/** Shows a cart, unless a later one is shown already: answers may overtake each other. */
function show(cart) {
  if (cart.changes < shown.changes) return;
  shown.changes = cart.changes;
  const pieces = new Map(cart.lines.map((line) => [line.sku, line]));
  for (const sku of new Set([...lines.keys(), ...pieces.keys()])) showLine(sku, pieces.get(sku));
  byId("pieces").textContent = cart.lines.reduce((sum, line) => sum + line.pieces, 0);
  byId("empty").hidden = cart.lines.length > 0;
  byId("checkout").disabled = cart.lines.length === 0;
  byId("total").textContent = euros(cart.total);
  byId("surcharge").hidden = !cart.surcharge;
  byId("surcharge-label").textContent = cart.surcharge?.label ?? "";
  byId("surcharge-cents").textContent = cart.surcharge ? euros(cart.surcharge.cents) : "";
  byId("note").hidden = !cart.surcharge?.note;
  byId("note").textContent = cart.surcharge?.note ?? "";
  byId("seen").textContent = cart.seen;
  byId("release").textContent = cart.release;
  if (cart.receipt) {
    const { total, number } = cart.receipt;
    say(`You have bought it for ${euros(total)}: purchase number ${number}. Thank you!`, "good");
  }
  if (shown.release !== "" && shown.release !== cart.release) {
    say(`Release ${cart.release} serves your cart now, in place of ${shown.release}. What is in it stayed.`, "good");
  }
  shown.release = cart.release;
}

function showLine(sku, line) {
  const entry = lines.get(sku) ?? addLine(sku);
  if (!line && entry.contains(document.activeElement)) byId("cart").focus();
  entry.hidden = !line;
  if (!line) return;
  entry.querySelector(".number").textContent = line.pieces;
  entry.querySelector(".cents").textContent = line.cents === null ? "not sold" : euros(line.cents);
}

function addLine(sku) {
  const entry = byId("line").content.cloneNode(true).firstElementChild;
  const name = goods.get(sku)?.name ?? sku;
  entry.dataset.line = sku;
  entry.querySelector(".name").textContent = name;
  const [less, more] = entry.querySelectorAll("button");
  less.setAttribute("aria-label", `One ${name} less`);
  less.addEventListener("click", () => click("/cart/remove", { sku }));
  more.setAttribute("aria-label", `One ${name} more`);
  more.addEventListener("click", () => click("/cart/add", { sku }));
  byId("lines").append(entry);
  lines.set(sku, entry);
  return entry;
}

function addItem(item) {
  const entry = byId("item").content.cloneNode(true).firstElementChild;
  entry.querySelector("use").setAttribute("href", `/goods.svg#${item.sku}`);
  entry.querySelector("h3").textContent = item.name;
  entry.querySelector("p").textContent = euros(item.cents);
  const button = entry.querySelector("button");
  button.dataset.add = item.sku;
  button.setAttribute("aria-label", `Add ${item.name} to the cart`);
  button.addEventListener("click", () => click("/cart/add", { sku: item.sku }));
  byId("goods").append(entry);
}

/** Looks at the cart. */
async function look() {
  const { status, answer } = await ask("GET", "/cart");
  if (status === 200) show(answer);
  return status === 200;
}

async function crash() {
  const { status } = await ask("POST", "/cart/break");
  const isThere = await look();
  const then = isThere ? "That click is undone, and a new instance has your cart." : "It is not there yet.";
  say(`Your cart crashed (${status}). ${then}`, isThere ? "good" : "bad");
}

/** Clicks on one thing after the other, until it is told to stop. */
let clicking;
function keepClicking() {
  const buttons = [...document.querySelectorAll("[data-add]")];
  let next = 0;
  clicking = setInterval(() => buttons[next++ % buttons.length].click(), CLICK_EVERY);
}

function toggle() {
  const button = byId("keep");
  const isOn = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(isOn));
  button.textContent = isOn ? "Stop clicking" : "Keep clicking";
  if (isOn) keepClicking();
  else clearInterval(clicking);
}

async function open() {
  byId("checkout").addEventListener("click", () => click("/cart/checkout"));
  byId("break").addEventListener("click", () => void crash());
  byId("keep").addEventListener("click", toggle);
  const { answer } = await ask("GET", "/catalogue");
  for (const item of answer) goods.set(item.sku, item);
  // Nothing can be clicked on before the first request of the session is answered: it makes the session.
  if (!(await look())) throw new Error("there is no cart");
  answer.forEach(addItem);
  for (const id of ["keep", "break"]) byId(id).disabled = false;
  let isLost = false;
  const again = async () => {
    if (!document.hidden) {
      const isThere = await look().catch(() => false);
      if (!isThere) say("Your cart cannot be reached.", "bad");
      else if (isLost) say("Your cart is there again, with all that was in it.", "good");
      isLost = !isThere;
    }
    setTimeout(again, LOOK_EVERY);
  };
  setTimeout(again, LOOK_EVERY);
}

open().catch(() => say("The shop cannot be reached. Load the page again.", "bad"));
