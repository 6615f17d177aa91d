"""What the programs in Python share: a wrong flag, a file that cannot be written and standard output that cannot be written
end a program with one sentence and 1. The same as program/command_line.h and program/program_output.h do for those in C++.

  sys.dont_write_bytecode = True
  sys.path.insert(0, os.path.join(REPOSITORY, "bazel"))
  import python_program

  def main():
      parser = python_program.Parser(description=__doc__)
      ...
  python_program.run("bench/files/run", main)
"""

import argparse
import os
import subprocess
import sys


class Problem(Exception):
    """A sentence for the user."""


class OutputLost(Problem):
    def __init__(self, error):
        super().__init__(f"not everything could be written to standard output: {error.strerror}")


class Parser(argparse.ArgumentParser):
    """Takes no abbreviations. Raises a Problem where argparse prints the usage."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message):
        raise Problem(message)


class ResultFile:
    """A file for results, which are written at the end of a run. It is opened before the run, and made where there is none;
    what it contains stays until write()."""

    def __init__(self, flag, path):
        self._name = f"--{flag}={path}"
        try:
            self._file = open(path, "a", encoding="utf-8")  # pylint: disable=consider-using-with
        except OSError as error:
            raise self._cannot_write(error) from error

    def write(self, text):
        """In place of what the file contains. At most once."""
        try:
            with self._file:
                # Devices and pipes have nothing to be emptied.
                if os.path.isfile(self._file.fileno()):
                    self._file.truncate(0)
                self._file.write(text)
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error):
        return Problem(f"{self._name} cannot be written: {error.strerror}")


class _Output:
    """Standard output. A failure to write to it is told from that of a file."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        try:
            return self._stream.write(text)
        except OSError as error:
            raise OutputLost(error) from error

    def flush(self):
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputLost(error) from error

    def __getattr__(self, name):
        return getattr(self._stream, name)


def _flush():
    try:
        sys.stdout.flush()
    except OutputLost as lost:
        # Python flushes once more at its end, and would complain in words of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return lost
    return None


def run(name, main):
    """Ends the program with what main() returns, or with a sentence and 1."""
    # A closed one is not there at all, and print() would print nothing without a word.
    if sys.stdout is None:
        sys.exit(f"{name}: standard output is closed: redirect it, to /dev/null where it is not wanted")
    sys.stdout = _Output(sys.stdout)
    problem = None
    try:
        code = main()
    except SystemExit as end:
        code = end.code
    except (Problem, OSError, subprocess.SubprocessError) as error:
        problem = error
    problem = _flush() or problem
    sys.exit(code if problem is None else f"{name}: {problem}")
