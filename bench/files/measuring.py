"""What the measurements of copies share: times of a program, files to be copied, a folder that does not stay."""

import argparse
import contextlib
import os
import platform
import random
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(REPOSITORY, "bazel"))
import python_program  # pylint: disable=wrong-import-position

UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


# ---- Values of flags.


def parse_bytes(text):
    match = re.fullmatch(r"(\d+)(|KiB|MiB|GiB)", text)
    if not match or int(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of bytes, such as 1GiB")
    return int(match[1]) * UNITS[match[2]]


def parse_count(text):
    if not text.isdigit() or not 0 < int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError(f"'{text}' does not lie between 1 and 10000000")
    return int(text)


def check_directory(parser, directory, needed_bytes, fewer):
    """Refuses a directory that cannot take the data."""
    if not os.path.isdir(directory):
        parser.error(f"{directory} is no directory")
    if not os.access(directory, os.W_OK | os.X_OK):
        parser.error(f"{directory} cannot be written")
    if shutil.disk_usage(directory).free < needed_bytes:
        parser.error(f"{directory} has less than {needed_bytes} bytes free: fewer {fewer}")


def program_of_flag(parser, flag, path):
    """The absolute path of a program, or None where none is named."""
    if path is None:
        return None
    absolute = os.path.abspath(path) if path else ""
    if not os.path.isfile(absolute) or not os.access(absolute, os.X_OK):
        parser.error(f"--{flag}={absolute} is no program")
    return absolute


# ---- Files and programs.


def write_file(path, size, seed):
    block = random.Random(seed).randbytes(min(size, 1 << 20))
    with open(path, "wb") as file:
        while size > 0:
            file.write(block[:size])
            size -= len(block)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def bazel_build(*targets_and_flags):
    """Builds optimised programs. Returns whether it could."""
    command = [os.path.join(REPOSITORY, "bazelw"), "build", "-c", "opt", *targets_and_flags]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode == 0


def bazel_bin():
    """The folder of what bazel_build() built."""
    command = [os.path.join(REPOSITORY, "bazelw"), "info", "-c", "opt", "bazel-bin"]
    return subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def build_copy():
    """//copy, whose path is returned."""
    # A copy of one small file takes less time than the dynamic linker needs for the libraries.
    if not bazel_build("//copy", "--features=fully_static_link"):
        print("it cannot be linked statically, and takes longer to start")
        if not bazel_build("//copy"):
            raise python_program.Problem("//copy cannot be built")
    return os.path.join(bazel_bin(), "copy", "copy")


# ---- Measuring.


def run_once(command):
    """Wall and processor time, in seconds."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        child.kill()
        child.wait()
        raise
    child.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    if child.returncode != 0:
        raise python_program.Problem(f"{shlex.join(command)} ends with {child.returncode}")
    return wall, usage.ru_utime + usage.ru_stime


def check_copy(command, to):
    compare = ["diff", "-r", "--no-dereference", "from", to] if os.path.isdir("from") else ["cmp", "from", to]
    if subprocess.run(compare, stdout=sys.stderr).returncode != 0:
        raise python_program.Problem(f"{shlex.join(command)} copies something else")


def in_turn(programs, round_number):
    """The programs in the order of a round, which each of them begins in its turn."""
    first = round_number % len(programs)
    return programs[first:] + programs[:first]


def ratios(values, others):
    """Those of the same rounds. A clock that did not tick is no time."""
    return [value / other for value, other in zip(values, others) if other > 0]


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})" if values else "-"


def milliseconds(values):
    return f"{1000 * statistics.median(values):.2f}"


# ---- Where it happens.


def file_system_of(path):
    kind = subprocess.run(["stat", "-f", "-c", "%T", path], stdout=subprocess.PIPE, text=True, check=False)
    return kind.stdout.strip() or "unknown"


def tell_machine(directory, rounds):
    print(f"Linux {platform.release()}, {os.cpu_count()} processors, {file_system_of(directory)}, ", end="")
    print(f"{rounds} rounds; medians, ratios with the smallest and the largest", flush=True)


def _interrupt(number, _frame):
    raise KeyboardInterrupt(signal.Signals(number).name)


def raise_at_signals():
    """From here on what would end the program raises a KeyboardInterrupt, as an interrupt does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


@contextlib.contextmanager
def data_folder(directory):
    """Makes a new folder in the directory, goes there, and removes it at the end, also when it is interrupted."""
    folder = tempfile.mkdtemp(prefix="ioring-files.", dir=directory)
    try:
        os.chdir(folder)
        # Each tree goes where there is room on the disk, and not where the last one filled it (ext4).
        subprocess.run(["chattr", "+T", "."], stderr=subprocess.DEVNULL, check=False)
        yield
    finally:
        os.chdir("/")
        # An impatient second interrupt would leave gigabytes.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        shutil.rmtree(folder, ignore_errors=True)


def run_program(name, main):
    """python_program.run, for programs that remove their data when they are interrupted."""

    def main_or_interrupted():
        try:
            return main()
        except KeyboardInterrupt as interrupted:
            raise python_program.Problem("interrupted: its data is removed") from interrupted

    python_program.run(name, main_or_interrupted)
