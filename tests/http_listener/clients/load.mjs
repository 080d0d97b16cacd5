// Asks a service that counts the visits of each session, each session on a connection of its own, so many requests in
// all. Says as JSON what came of it.
import { createRequire } from "node:module";

const [tool, url, connections, amount] = process.argv.slice(2);
const autocannon = createRequire(`${tool}/package.json`)("autocannon");

let sessions = 0;
const releases = {};
const wrong = [];

function setupClient(client) {
  const session = `load-${sessions++}`;
  let visits = 0;
  const onResponse = (status, body, _, headers) => {
    visits += 1;
    if (status !== 200 || body !== String(visits)) {
      wrong.push({ session, status, body, expected: String(visits) });
    }
    const release = headers["x-release"] ?? "";
    releases[release] = (releases[release] ?? 0) + 1;
  };
  client.setRequests([{ method: "GET", path: "/visit", headers: { "x-session": session }, onResponse }]);
}

const options = { url, connections: Number(connections), amount: Number(amount), timeout: 60, setupClient };
const { "2xx": answered, non2xx, errors, timeouts, mismatches, resets } = await autocannon(options);
console.log(JSON.stringify({ answered, non2xx, errors, timeouts, mismatches, resets, releases, wrong: wrong.slice(0, 10) }));
