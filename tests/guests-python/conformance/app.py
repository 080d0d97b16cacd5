"""The guest of the conformance suite, in Python. What it does is described in `tests/conformance/README.md`, and is the
same in each language."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import airssys
from airssys import Message, Snapshot, StopReason, component, config, state, supervision

logging.getLogger().setLevel(1)
LEVELS = {"trace": 5, "debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
FAULTS = {
    "invalid": airssys.Invalid,
    "refused": airssys.Refused,
    "unavailable": airssys.Unavailable,
    "internal": airssys.Internal,
}
NAMES: dict[type, str] = {
    airssys.Denied: "denied",
    airssys.NoSuchService: "no-such-service",
    airssys.Overloaded: "overloaded",
    airssys.Stopped: "stopped",
    airssys.Timeout: "timeout",
    airssys.Deadlock: "deadlock",
    airssys.Crashed: "crashed",
    airssys.Dropped: "dropped",
    airssys.NoState: "no-state",
    airssys.StateDenied: "state-denied",
    airssys.StateError: "state",
    airssys.ConfigError: "config",
    supervision.SpawnDenied: "denied",
    supervision.NoSuchChild: "no-such-child",
    supervision.Taken: "taken",
    supervision.NoRoom: "overloaded",
    supervision.Deaf: "deaf",
}


def named(error: Exception) -> dict[str, str]:
    """An error of the host as an answer."""
    if isinstance(error, airssys.NotSent):
        cause = named(error.cause)
        return {"error": f"not-sent/{cause['error']}", "text": cause["text"]}
    if isinstance(error, airssys.Faulted):
        return {"error": f"fault/{type(error.answer).__name__.lower()}", "text": error.answer.reason}
    if isinstance(error, airssys.TooLarge):
        return {"error": "too-large", "text": str(error.limit_bytes)}
    if isinstance(error, OSError):
        return {"error": "io", "text": str(error)}
    return {"error": NAMES.get(type(error), "unknown"), "text": str(error)}


@component
class Conformance:
    """What the instance holds in its own memory."""

    def __init__(self) -> None:
        self.count = 0
        self.remembered: Any = None
        self.timer: airssys.Timer | None = None
        self.message: Message | None = None

    def init(self) -> None:
        self.perform_configured("on-init")

    def handle(self, message: Message) -> bytes | None:
        self.count += 1
        self.message = message
        command = message.value
        if isinstance(command, dict) and command.get("do") == "nothing":
            return None
        return json.dumps(self.perform(command)).encode()

    def stop(self, reason: StopReason) -> None:
        if "on-stop" in config:
            airssys.send(config["on-stop"], {"do": "append", "key": "stopped", "value": reason.value})

    def check(self) -> None:
        self.perform_configured("on-check")

    def down(self, notice: supervision.Down) -> None:
        reason = notice.reason if notice.code is None else f"{notice.reason}/{notice.code}"
        append("downs", {"child": notice.child, "reason": reason, "restarted": notice.restarted})

    def snapshot(self) -> bytes:
        self.perform_configured("on-snapshot")
        return json.dumps(self.remembered).encode()

    def restore(self, snapshot: Snapshot) -> None:
        self.perform_configured("on-restore")
        self.remembered = snapshot.value

    def migrate(self, from_schema: int) -> None:
        state["migrated-from"] = from_schema
        self.perform_configured("on-migrate")

    def perform_configured(self, key: str) -> None:
        """Performs the command that stands under this key of the configuration, where there is one."""
        text = config.get(key)
        if text is not None:
            self.perform(json.loads(text))

    def perform(self, command: Any) -> Any:
        """What comes of a command. An error of the host is answered; only `fault` makes a fault."""
        if not isinstance(command, dict) or not isinstance(command.get("do"), str):
            raise airssys.Invalid("no command")
        arguments = {name: value for name, value in command.items() if name != "do"}
        perform = getattr(self, "do_" + command["do"].replace("-", "_"), None)
        perform = COMMANDS.get(command["do"], perform)
        if perform is None:
            raise airssys.Invalid(f"no such command: {command['do']}")
        try:
            return perform(**arguments)
        except airssys.Fault:
            raise
        except (airssys.Error, OSError) as error:
            return named(error)

    def do_all(self, of: list[Any]) -> list[Any]:
        return [self.perform(command) for command in of]

    def do_count(self) -> int:
        return self.count

    def do_context(self) -> dict[str, Any] | None:
        message = self.message
        if message is None:
            return None
        return {
            "address": airssys.self_address(),
            "sender": message.sender,
            "key": message.key,
            "delivery": message.delivery.value,
            "topic": message.topic,
            "has-time": (message.left_ms or 0) > 0,
            "attempt": message.attempt,
        }

    def do_keep_context(self, key: str) -> None:
        state[key] = self.do_context()

    def do_tell_attempt(self, to: str) -> None:
        attempt = 0 if self.message is None else self.message.attempt
        airssys.call(to, {"do": "append", "key": "attempts", "value": attempt}, timeout=60)

    def do_remember(self, value: Any) -> None:
        self.remembered = value

    def do_recall(self) -> Any:
        return self.remembered

    def do_send_after(self, delay_ms: int, body: Any) -> None:
        self.timer = airssys.send_after(delay_ms / 1000, body)

    def do_cancel(self) -> bool:
        return self.timer is not None and self.timer.cancel()


def append(key: str, value: Any) -> int:
    """Appends to a list in the state."""
    state[key] = [*state.get(key, []), value]
    return len(state[key])


def fault(kind: str, reason: str) -> None:
    """Fails in this way."""
    raise FAULTS[kind](reason)


def fault_if_set(key: str, kind: str, reason: str) -> None:
    """Fails in this way where the state has the key."""
    if key in state:
        fault(kind, reason)


def trap() -> None:
    """What nobody foresaw."""
    raise RuntimeError("told to trap")


def spin() -> None:
    """Never ends."""
    while True:
        pass


def read_file(path: str) -> str:
    """The text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


COMMANDS: dict[str, Callable[..., Any]] = {
    "echo": lambda value: value,
    "address": airssys.self_address,
    "fault": fault,
    "fault-if-set": fault_if_set,
    "trap": trap,
    "exit": lambda status: sys.exit(status),
    "spin": spin,
    "sleep": lambda ms: time.sleep(ms / 1000),
    "get": lambda key: state.get(key),
    "set": lambda key, value: state.__setitem__(key, json.dumps(value).encode()),
    "delete": lambda key: state.__delitem__(key),
    "exists": lambda key: key in state,
    "increment": lambda key, by: state.increment(key, by),
    "keys": lambda: sorted(state),
    "get-many": lambda keys: state.get_many(keys),
    "set-many": lambda values: state.set_many(values),
    "delete-many": lambda keys: state.delete_many(keys),
    "append": append,
    "send": lambda to, body, key=None: airssys.send(to, body, key=key),
    "call": lambda to, body, timeout_ms, key=None: airssys.call(to, body, timeout_ms / 1000, key=key),
    "publish": lambda topic, body: airssys.publish(topic, body),
    "subscribe": airssys.subscribe,
    "unsubscribe": airssys.unsubscribe,
    "log": lambda level, line: logging.log(LEVELS[level], line),
    "config": lambda key: config.get(key),
    "config-all": lambda: dict(config),
    "spawn": supervision.spawn,
    "stop": supervision.stop,
    "monitor": supervision.monitor,
    "demonitor": supervision.demonitor,
    "link": supervision.link,
    "environment": lambda name: os.environ.get(name),
    "read-file": read_file,
}
