// A site as people write it with hono, a library of npm's. It has never heard of this host.

import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { cors } from "hono/cors";
import { html } from "hono/html";
import { HTTPException } from "hono/http-exception";

const app = new Hono();
let seen = 0;

app.use("/api/*", cors({ origin: "https://shop.example" }));

app.get("/", (c) => c.text("hello"));
app.get("/page/:name", (c) => c.html(html`<h1>${c.req.param("name")}</h1><p>${c.req.query("said") ?? ""}</p>`));
app.get("/api/sum", (c) => c.json({ sum: (c.req.queries("n") ?? []).map(Number).reduce((a, b) => a + b, 0) }));
app.post("/api/orders", async (c) => {
  const order = await c.req.json().catch(() => {
    throw new HTTPException(400, { message: "no JSON" });
  });
  return c.json({ ordered: order.sku, agent: c.req.header("user-agent") ?? null }, 201, { location: `/orders/${order.sku}` });
});
app.put("/echo", async (c) => c.body(await c.req.arrayBuffer(), 200, { "content-type": "application/octet-stream" }));
app.delete("/orders/:id{[0-9]+}", (c) => c.body(null, 204));
app.get("/visits", (c) => {
  const visits = Number(getCookie(c, "visits") ?? 0) + 1;
  setCookie(c, "visits", String(visits), { path: "/", httpOnly: true });
  return c.text(`visit ${visits}`);
});
app.get("/old", (c) => c.redirect("/page/new", 301));
app.get("/throw", () => {
  throw new Error("on purpose");
});

// What an instance remembers, and how it ends.
app.get("/seen", (c) => c.text(String(++seen)));
app.get("/spin", () => {
  for (;;);
});

addEventListener("fetch", (event) => event.respondWith(app.fetch(event.request)));
