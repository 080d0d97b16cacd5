/**
 * Actors of one's own: the children of a service whose actors are spawned. A release that imports this has to request
 * `spawn`. All of it happens when the turn commits, and all of it throws `ChildError`.
 */

/** Starts a child of a service under this name; its address. */
export function spawn(service: string, name: string): string;
/** Stops a child in order. Nothing happens where it is gone by then. */
export function stop(child: string): void;
/** Asks to be told, once, by `down`, when the child ends. */
export function monitor(child: string): void;
/** Takes a monitor back. */
export function demonitor(child: string): void;
/** From then on, this actor and the child end together. */
export function link(child: string): void;
