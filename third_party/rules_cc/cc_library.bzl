"""Bazel's built-in cc_library under the name that rules_cc gives it."""

cc_library = native.cc_library
