"""What can be seen of the SDK without a host."""

import sys
import types
import unittest
from dataclasses import dataclass
from pathlib import Path

import airssys
from airssys import _component, _json

BOOK = Path(__file__).resolve().parents[4] / "tests" / "book"


def exports_of(source: str) -> list[str]:
    """The exports of the component of a program."""
    program = sys.modules["program"] = types.ModuleType("program")
    _component.made.clear()
    exec(source, vars(program))
    return list(_component.made)


class Components(unittest.TestCase):
    def test_a_function_exports_a_handler(self) -> None:
        source = "import airssys\n@airssys.component\ndef echo(message): return message.value"
        self.assertEqual(exports_of(source), ["Handler"])

    def test_a_class_exports_what_it_has_methods_for(self) -> None:
        source = "import airssys\n@airssys.component\nclass A:\n def handle(self, message): pass\n"
        self.assertEqual(exports_of(source), ["Handler"])
        for method, export in [
            ("init", "Lifecycle"), ("stop", "Lifecycle"), ("check", "Health"), ("down", "Monitoring"),
            ("snapshot", "Upgrade"), ("restore", "Upgrade"), ("migrate", "Upgrade"),
        ]:
            self.assertEqual(exports_of(f"{source} def {method}(self, *_): pass"), ["Handler", export], method)

    def test_the_counter_of_the_book_is_handed_over(self) -> None:
        self.assertEqual(exports_of((BOOK / "counter.py").read_text()), ["Handler", "Upgrade"])

    def test_what_is_no_component_is_refused(self) -> None:
        start = "import airssys\n@airssys.component\n"
        for source, said in [
            (f"{start}class A: pass", "has no `handle`"),
            (f"{start}class Handler:\n def handle(self, message): pass", "cannot be called `Handler`"),
            (f"{start}def a(message): pass\n@airssys.component\ndef b(message): pass", "second component"),
        ]:
            with self.assertRaisesRegex(TypeError, said):
                exports_of(source)


class State(unittest.TestCase):
    def test_what_is_no_text_is_no_key_and_the_host_is_not_asked(self) -> None:
        self.assertNotIn(1, airssys.state)
        with self.assertRaises(airssys.NoHost):
            self.assertNotIn("1", airssys.state)


class Values(unittest.TestCase):
    def test_values_are_json_and_bytes_are_bytes(self) -> None:
        @dataclass
        class Order:
            sku: str

        self.assertEqual(_json.encode({"a": [1, "ü"]}), '{"a":[1,"ü"]}'.encode())
        self.assertEqual(_json.encode(Order("a")), b'{"sku":"a"}')
        self.assertEqual(_json.encode(b"\xff"), b"\xff")
        self.assertEqual(_json.decode(b'"a"'), "a")
        self.assertIsNone(_json.decode(b""))
        with self.assertRaises(airssys.Invalid):
            _json.decode(b"\xff")
        with self.assertRaises(airssys.Internal):
            _json.encode(object())


class Errors(unittest.TestCase):
    def test_an_error_that_nobody_catches_is_the_fault_that_fits(self) -> None:
        refused = airssys.Refused("out of stock")
        for error, fault in [
            (refused, airssys.Refused),
            (airssys.Faulted(refused), airssys.Refused),
            (airssys.Timeout(), airssys.Unavailable),
            (airssys.NotSent(airssys.Overloaded()), airssys.Unavailable),
            (airssys.Denied("send to x"), airssys.Internal),
            (airssys.StateError("full"), airssys.Unavailable),
            (airssys.NoState(), airssys.Internal),
        ]:
            self.assertIs(type(error.fault()), fault, error)
        self.assertEqual(airssys.Faulted(refused).fault().reason, "out of stock")

    def test_without_a_host_it_is_said(self) -> None:
        with self.assertRaisesRegex(airssys.NoHost, "messaging.send"):
            airssys.send("a", 1)

    def test_the_exports_have_worlds(self) -> None:
        self.assertEqual(set(_component.METHODS), set(_component.WORLDS))


if __name__ == "__main__":
    unittest.main()
