"""The test of a program's flags."""

load("@rules_shell//shell:sh_test.bzl", "sh_test")

_CASES = "//bazel:flag_cases.sh"

def flags_test(name, programs, size = "small", target_compatible_with = ["@platforms//os:linux"], **attributes):
    """`name`.sh, which gets the path of flag_cases.sh, and then those of `programs`.

    Args:
      name: of the test.
      programs: labels of programs and files.
      size: see sh_test.
      target_compatible_with: Linux unless said otherwise, which has /dev/full.
      **attributes: of sh_test.
    """
    files = [_CASES] + programs
    sh_test(
        name = name,
        size = size,
        srcs = [name + ".sh"],
        args = ["$(rootpath %s)" % file for file in files],
        data = files,
        target_compatible_with = target_compatible_with,
        **attributes
    )
