// Actors of one's own: the children of a service. A module by itself, since a release that imports it has to request
// `spawn`. What they are is in children.d.ts.

import * as supervision from "airssys:actor/supervision@0.1.0";

import { supervising } from "./errors.js";

export const spawn = (service, name) => supervising(() => supervision.spawn(service, name));
export const stop = (child) => supervising(() => supervision.stop(child));
export const monitor = (child) => supervising(() => supervision.monitor(child));
export const demonitor = (child) => supervising(() => supervision.demonitor(child));
export const link = (child) => supervising(() => supervision.link(child));
