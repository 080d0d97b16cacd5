"""`python -m airssys build`: makes a component of a program, by componentize-py, for the world that the program needs.

The world is what the program has: its module is imported here once, and each export that the component has methods for
is asked for, and no other.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path

from . import _component

PACKAGE = "airssys:actor"
VERSION = "0.1.0"


def contract() -> Path:
    """The folder of the contract: brought along, or that of the repository."""
    here = Path(__file__).resolve().parent
    for folder in (here / "wit", *(parent / "wit" for parent in here.parents[3:4])):
        if folder.is_dir():
            return folder
    raise SystemExit(f"error: the contract is missing\n  hint: there is no {here / 'wit'}, and no repository around it")


def tool() -> str:
    """componentize-py, beside the Python that runs this, or on the path."""
    beside = Path(sys.executable).with_name("componentize-py")
    return str(beside) if beside.is_file() else "componentize-py"


def run(options: argparse.Namespace, worlds: list[str], *arguments: str) -> None:
    """Runs componentize-py for one world of all these, and of the program's own."""
    included = [*(f"{PACKAGE}/{world}@{VERSION}" for world in worlds), *options.world]
    lines = "".join(f"    include {world};\n" for world in included)
    command = [tool(), "--quiet"]
    # By one world that includes the others: where it is to merge several itself, and one has resources, it panics.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "program.wit").write_text(f"package airssys:program;\nworld program {{\n{lines}}}\n")
        for found in [str(contract()), *options.wit, folder]:
            command += ["-d", found]
        execute([*command, "-w", "airssys:program/program", *arguments])


def execute(command: list[str]) -> None:
    """Runs a program, with its output shown."""
    try:
        status = subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        hint = f"{sys.executable} -m pip install componentize-py"
        raise SystemExit(f"error: there is no componentize-py\n  hint: {hint}") from None
    if status != 0:
        raise SystemExit(f"error: componentize-py failed ({status})\n  hint: what it printed above says why")


def worlds_of(options: argparse.Namespace) -> list[str]:
    """The worlds that a program needs, by importing it."""
    _component.building = True
    sys.dont_write_bytecode = True
    # What is generated has to be there for those who import more than this package does of it.
    with tempfile.TemporaryDirectory() as generated:
        run(options, [*_component.WORLDS.values(), "with-supervision"], "bindings", generated)
        sys.path[:0] = [*options.python_path, generated]
        importlib.import_module(options.module)
    if not _component.made:
        hint = "mark a function or a class with `@airssys.component`"
        raise SystemExit(f"error: the module `{options.module}` has no component\n  hint: {hint}")
    worlds = [_component.WORLDS[name] for name in _component.made]
    return [*worlds, "with-supervision"] if "airssys.supervision" in sys.modules else worlds


def build(options: argparse.Namespace) -> None:
    """Makes the component."""
    options.python_path = [options.folder, *options.python_path]
    own = Path(__file__).resolve().parents[1]
    paths = [part for folder in [*options.python_path, str(own)] for part in ("-p", folder)]
    run(options, worlds_of(options), "componentize", options.module, "-o", options.output, *paths)


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m airssys", description="Makes components of programs in Python.")
    command = parser.add_subparsers(required=True).add_parser("build", help="make a component")
    command.add_argument("folder", nargs="?", default=".", help="the folder of the program (default: this one)")
    command.add_argument("--module", default="app", help="the module with the component (default: app)")
    command.add_argument("-o", "--output", default="app.wasm", help="where to (default: app.wasm)")
    command.add_argument("-p", "--python-path", action="append", default=[], help="a folder of libraries")
    command.add_argument("-d", "--wit", action="append", default=[], help="interfaces of the program's own")
    command.add_argument("-w", "--world", action="append", default=[], help="a world of the program's own")
    command.set_defaults(run=build)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
