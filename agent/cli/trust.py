"""``edgeward trust``: which keys a device believes, and how old a bundle may be."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from agent.cli import output, trust_report
from agent.cli.device import DEFAULT_CONFIG
from agent.config import DEFAULT_TRUST_FOLDER, Config
from runtime.errors import Code, EdgewardError

if TYPE_CHECKING:
    from agent.trust.store import Plan

EXAMPLES = """\
examples:
  edgeward trust list
  edgeward trust add release-2026.pub --role release
  edgeward trust add release-2027.pub --role release --standby
  edgeward trust add supplier.pub --role release --names 'conveyor,ppe-*'
  edgeward trust remove release-2026
  edgeward trust floors list

Each change asks first, or takes --yes, and is written to audit.jsonl in the trust folder.
"""

Actions: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no other name


def add(subparsers: Actions) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "trust",
        help="list and change the keys that this device believes, and its rollback floors",
        description="List and change the keys that this device believes, and its rollback floors.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _action(actions, "list", "show which keys may sign what", "list", handle_list)
    _add_add(actions)
    _add_remove(actions)
    floors = actions.add_parser(
        "floors",
        help="show and lower the rollback floors",
        description="Show and lower the rollback floors: the newest release of each bundle that has run.",
        epilog="example:\n  edgeward trust floors list\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_floors(floors.add_subparsers(title="actions", metavar="ACTION", required=True))


def _action(actions: Actions, name: str, summary: str, example: str, handler: Any) -> argparse.ArgumentParser:
    parser = actions.add_parser(
        name,
        help=summary,
        allow_abbrev=False,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  edgeward trust {example}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"the device's configuration, which names the folders (default {DEFAULT_CONFIG} if it exists)",
    )
    parser.add_argument("--folder", metavar="DIR", type=Path, help="the trust folder, instead")
    output.add_json_option(parser)
    parser.set_defaults(handler=handler)
    return parser


def _add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where nobody can answer")


def _add_add(actions: Actions) -> None:
    example = "add supplier.pub --role release --names 'conveyor,ppe-*'"
    parser = _action(actions, "add", "trust a public key", example, handle_add)
    parser.add_argument("file", metavar="FILE.pub", type=Path, help="the public key, PEM")
    parser.add_argument(
        "--role",
        required=True,
        choices=("release", "operate"),
        help="release: may sign bundles; operate: may sign what the device is to do",
    )
    parser.add_argument("--standby", action="store_true", help="the key that comes next; believed as well")
    parser.add_argument(
        "--names", default="*", metavar="LIST", help="bundles that it may sign, with * and ? (default: all)"
    )
    parser.add_argument("--name", default="", metavar="NAME", help="what the key is called (default: FILE)")
    parser.add_argument("--replace", action="store_true", help="say anew what a key that is there may do")
    parser.add_argument(
        "--force", action="store_true", help="though its place is taken, or no release key is left"
    )
    _add_yes(parser)


def _add_remove(actions: Actions) -> None:
    parser = _action(actions, "remove", "trust a key no more", "remove release-2026", handle_remove)
    parser.add_argument("key", metavar="NAME|FINGERPRINT", help="the key, as 'edgeward trust list' shows it")
    parser.add_argument(
        "--force",
        action="store_true",
        help="remove the last release key too, or one that the configuration names",
    )
    _add_yes(parser)


def _add_floors(actions: Actions) -> None:
    listing = _action(
        actions, "list", "show the newest release of each bundle", "floors list", handle_floors_list
    )
    lower = _action(
        actions, "lower", "let older releases run again", "floors lower ppe --to 41", handle_floors_lower
    )
    lower.add_argument("name", metavar="NAME", help="the bundle's name")
    lower.add_argument(
        "--to", metavar="N", type=_counter, required=True, help="the oldest release_counter that may run"
    )
    reset = _action(
        actions, "reset", "begin anew without floors, as after damage", "floors reset", handle_floors_reset
    )
    for parser in (lower, reset):
        _add_yes(parser)
    for parser in (listing, lower, reset):
        parser.add_argument("--state-dir", metavar="DIR", type=Path, help="the agent's state folder, instead")


def _counter(text: str) -> int:
    if not text.isdecimal() or len(text) > 19 or not 1 <= int(text) < 1 << 63:
        raise argparse.ArgumentTypeError(f"{text!r} is not a release counter, 1 or more")
    return int(text)


def _config(options: argparse.Namespace) -> Config | None:
    """The configuration that says where things lie; ``None`` where there is none and none was named."""
    path = options.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    if path is None:
        return None
    from agent import config_file  # noqa: PLC0415 - only where there is one

    return config_file.load(path, to_run=False)


def _folder(options: argparse.Namespace, config: Config | None) -> Path:
    if options.folder is not None:
        return Path(options.folder)
    folder = config.trust.folder if config is not None else DEFAULT_TRUST_FOLDER
    if not folder:
        what, remedy = "trust.folder is empty: there is no trust folder", "set it, or use --folder"
        raise EdgewardError(
            Code.CONFIG_VALUE, what, where=str(options.config or DEFAULT_CONFIG), remedy=remedy
        )
    return Path(folder)


def _floors_path(options: argparse.Namespace, config: Config | None) -> Path:
    from agent.trust.floors import path_in  # noqa: PLC0415 - for this command only

    state = options.state_dir or Path((config or Config()).device.state_dir)
    return path_in(state)


def _confirm(options: argparse.Namespace, question: str) -> None:
    """Ask on a terminal; elsewhere ``--yes`` is the answer.

    Raises:
        EdgewardError: ``USAGE`` without a yes.
    """
    if options.yes:
        return
    if not sys.stdin.isatty():
        remedy = "add --yes"
        raise EdgewardError(Code.USAGE, "this needs a confirmation, and nobody is here to ask", remedy=remedy)
    output.progress(question)
    sys.stderr.write("Do it? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise EdgewardError(Code.USAGE, "not confirmed: nothing was changed", remedy="answer with y")


def handle_list(options: argparse.Namespace) -> int:
    """Show the keys of the folder and those that the configuration names."""
    from agent.trust import store  # noqa: PLC0415 - the crypto library, for this command only

    config = _config(options)
    folder = _folder(options, config)
    keys = store.list_keys(folder)
    named = store.list_named(_release_keys(config), keys)
    ignored = store.list_ignored(folder)
    for name in ignored:
        output.warn(f"{name!r} in {folder} is not read: a key file ends in .toml")
    if options.json:
        output.print_document(trust_report.keys_document(folder, keys, named, ignored))
    else:
        sys.stdout.write(trust_report.keys_table(folder, keys, named))
    return 0


def handle_add(options: argparse.Namespace) -> int:
    """Add a key, or say anew what it may do."""
    from agent.trust import store  # noqa: PLC0415 - the crypto library, for this command only
    from runtime.bundle import keys  # noqa: PLC0415
    from runtime.bundle.trust_folder import Grant, KeyFile  # noqa: PLC0415

    config = _config(options)
    folder = _folder(options, config)
    file = KeyFile(
        role=options.role,
        public_key=keys.public_pem(keys.load_public(options.file)).decode("ascii"),
        state="standby" if options.standby else "active",
        names=_names(options),
    )
    plan = store.plan_add(
        folder,
        options.name or options.file.stem,
        file,
        replace=options.replace,
        plain=store.list_readable(_release_keys(config)),
        force=options.force,
    )
    grant = Grant(role=file.role, names=file.names)
    affected = store.signed_with(plan.key.fingerprint, _bundles(config), grant) if options.replace else []
    return _carry_out(options, folder, plan, affected)


def _names(options: argparse.Namespace) -> tuple[str, ...]:
    """What ``--names`` lists.

    Raises:
        EdgewardError: ``USAGE``.
    """
    from runtime.bundle.trust_folder import is_pattern  # noqa: PLC0415 - for this command only

    names = tuple(name.strip() for name in options.names.split(","))
    wrong = [name for name in names if not is_pattern(name)]
    if wrong:
        what, remedy = f"{wrong[0]!r} is no name of a bundle, nor a pattern", "write it as 'conveyor,ppe-*'"
        raise EdgewardError(Code.USAGE, what, where="--names", remedy=remedy)
    if options.role == "operate" and names != ("*",):
        what, remedy = "a key with the role operate signs no bundles", "leave it out"
        raise EdgewardError(Code.USAGE, what, where="--names", remedy=remedy)
    return names


def handle_remove(options: argparse.Namespace) -> int:
    """Remove a key."""
    from agent.trust import store  # noqa: PLC0415 - the crypto library, for this command only

    config = _config(options)
    folder = _folder(options, config)
    plain = store.list_readable(_release_keys(config))
    plan = store.plan_remove(folder, options.key, plain=plain, force=options.force)
    affected = store.signed_with(plan.key.fingerprint, _bundles(config))
    return _carry_out(options, folder, plan, affected)


def _release_keys(config: Config | None) -> list[Path]:
    return [Path(key) for key in config.trust.release_keys] if config else []


def _bundles(config: Config | None) -> list[Path]:
    """The bundles that this device runs, each once."""
    pipelines = config.pipeline if config else ()
    names = [name for item in pipelines for name in (item.bundle, *(stage.bundle for stage in item.stage))]
    return [Path(name) for name in dict.fromkeys(names)]


def _carry_out(options: argparse.Namespace, folder: Path, plan: Plan, affected: Sequence[str] = ()) -> int:
    """Confirm, do, and tell; ``affected`` are bundles of this device that will be refused from now on."""
    from agent.trust import store  # noqa: PLC0415 - the crypto library, for these commands only

    for bundle in affected:
        output.warn(f"signed by this key, and refused from then on: {bundle}")
    _confirm(options, trust_report.plan_text(folder, plan))
    store.carry_out(folder, plan)
    if options.json:
        output.print_document(trust_report.plan_document(folder, plan, affected))
    else:
        sys.stdout.write(trust_report.plan_done(plan))
    return 0


def handle_floors_list(options: argparse.Namespace) -> int:
    """Show the floors."""
    from runtime.bundle import floors  # noqa: PLC0415 - for this command only

    path = _floors_path(options, _config(options))
    known = floors.load(path)
    if options.json:
        output.print_document(trust_report.floors_document(path, known))
    else:
        sys.stdout.write(trust_report.floors_table(path, known))
    return 0


def handle_floors_lower(options: argparse.Namespace) -> int:
    """Lower one floor."""
    from agent.trust import audit, floors  # noqa: PLC0415 - for this command only

    config = _config(options)
    path, folder = _floors_path(options, config), _folder(options, config)
    before = floors.check_lower(path, options.name, options.to)
    _confirm(
        options, f"releases of {options.name!r} from {options.to} on may run again; now from {before.counter}"
    )
    log = audit.path_in(folder)
    facts: dict[str, Any] = {
        "floors": str(path),
        "name": options.name,
        "before": before.counter,
        "after": options.to,
    }
    with audit.told(log, "floor lowered", **facts):
        floors.lower(path, options.name, options.to, was=before)
    text = f"releases of {options.name} from {options.to} on may run (it was {before.counter})\n"
    return _told(options, facts, text)


def handle_floors_reset(options: argparse.Namespace) -> int:
    """Begin anew without floors."""
    from agent.trust import audit, floors  # noqa: PLC0415 - for this command only

    config = _config(options)
    path, folder = _floors_path(options, config), _folder(options, config)
    _confirm(options, f"any release of any bundle may run again: {path} is set aside")
    with audit.told(audit.path_in(folder), "floors reset", floors=str(path)):
        aside = floors.reset(path)
    document = {"floors": str(path), "aside": str(aside or "")}
    kept = f"; the old file is {aside}" if aside else "; there were none"
    return _told(options, document, f"the floors of {path} begin anew{kept}\n")


def _told(options: argparse.Namespace, document: dict[str, Any], text: str) -> int:
    if options.json:
        output.print_document(document)
    else:
        sys.stdout.write(text)
    return 0
