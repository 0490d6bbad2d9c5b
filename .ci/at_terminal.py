"""Runs a command at a terminal, types a line at each prompt, and prints what the terminal shows.

    at_terminal.py LINES-SEPARATED-BY-SLASHES COMMAND [ARGUMENT...]

A line `^C` is an interrupt. When the command has ended, the terminal must echo again.
"""

import os
import pty
import select
import sys
import termios

lines = sys.argv[1].split("/")
# Both ends stay open: the state of the terminal is checked after the end of the command.
terminal, own = pty.openpty()
process = os.fork()
if process == 0:
    os.login_tty(own)
    os.execvp(sys.argv[2], sys.argv[2:])

shown, status = b"", None
while True:
    if select.select([terminal], [], [], 0.05)[0]:
        shown += os.read(terminal, 4096)
        # The command turns echo off before it prints the prompt.
        if shown.endswith(b": ") and lines:
            line = lines.pop(0)
            os.write(terminal, b"\x03" if line == "^C" else line.encode() + b"\n")
    elif status is not None:
        break
    elif (ended := os.waitpid(process, os.WNOHANG)) != (0, 0):
        # The next turn of the loop reads its last output.
        status = os.waitstatus_to_exitcode(ended[1])

sys.stdout.write(shown.decode())
if not termios.tcgetattr(own)[3] & termios.ECHO:
    sys.exit("the command left echo off")
sys.exit(status)
