"""Bazel's built-in cc_binary under the name that rules_cc gives it."""

cc_binary = native.cc_binary
