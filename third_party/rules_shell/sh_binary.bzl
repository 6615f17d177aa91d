"""Bazel's built-in sh_binary under the name that rules_shell gives it."""

sh_binary = native.sh_binary
