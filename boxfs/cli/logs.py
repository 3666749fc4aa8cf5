"""The log of a mount: a file beside its local state, and stderr where somebody looks there.

Under systemd each line starts with its priority (`<4>`, sd-daemon(3)), so the journal files it rightly.
Nothing that is logged may hold a secret; what looks like one is masked here once more, as the last net.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import re
import sys
import time
from pathlib import Path

LOG_FILE = Path("log") / "boxfs.log"
_FILE_BYTES, _FILES = 4 << 20, 3

_SECRET = re.compile(
    r"(?i)(bearer\s+|(?:access_token|refresh_token|client_secret|assertion|password|token)[\"']?\s*[=:]\s*[\"']?)"
    r"([A-Za-z0-9!._~+/=-]{6,})"
)
_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}


def masked(text: str) -> str:
    """Return the text with what looks like a token replaced."""
    return _SECRET.sub(r"\1(masked)", text)


class _Masking(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


class _Journal(_Masking):
    def format(self, record: logging.LogRecord) -> str:
        priority = _PRIORITIES.get(record.levelno, 6)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class _Json(logging.Formatter):
    """One object a line: time (RFC 3339), level, logger, message, thread, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": masked(record.getMessage()),
        }
        if record.exc_info:
            line["traceback"] = masked(self.formatException(record.exc_info))
        return json.dumps(line)


def log_path(cache_dir: Path) -> Path:
    return cache_dir / LOG_FILE


def start_logging(cache_dir: Path, level: str, *, to_stderr: bool, as_json: bool = False) -> None:
    """Begin the log of this process; replaces what was set up before."""
    path = log_path(cache_dir)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    to_file = logging.handlers.RotatingFileHandler(path, maxBytes=_FILE_BYTES, backupCount=_FILES, delay=True)
    to_file.setFormatter(_Json() if as_json else _Masking("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handlers: list[logging.Handler] = [to_file]
    if to_stderr:
        shown = logging.StreamHandler(sys.stderr)
        in_journal = bool(os.environ.get("JOURNAL_STREAM"))
        shown.setFormatter(
            _Json()
            if as_json
            else _Journal("%(name)s: %(message)s")
            if in_journal
            else _Masking("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
        )
        handlers.append(shown)
    root = logging.getLogger()
    stop_logging()
    for handler in handlers:
        root.addHandler(handler)
    set_level(level)
    logging.captureWarnings(True)


def set_level(level: str) -> None:
    """Take a level of the option table; other people's libraries stay at warnings."""
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("boxfs").setLevel(level.upper())


def stop_logging() -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, logging.StreamHandler) and type(handler.formatter) in (_Masking, _Journal, _Json):
            root.removeHandler(handler)
            handler.close()
