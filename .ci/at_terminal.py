"""Runs a command at a terminal, and types a line whenever it asks for one; prints what the terminal then shows.

    at_terminal.py LINES-SEPARATED-BY-SLASHES COMMAND [ARGUMENT...]
"""

import os
import pty
import sys

lines = sys.argv[1].split("/")
process, terminal = pty.fork()
if process == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

shown = b""
while True:
    try:
        octets = os.read(terminal, 4096)
    except OSError:  # Linux says so when the command has ended.
        break
    shown += octets
    # Echo is off before the question is asked.
    if shown.endswith(b": ") and lines:
        os.write(terminal, lines.pop(0).encode() + b"\n")

sys.stdout.write(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
