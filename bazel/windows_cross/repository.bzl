"""The repository that holds the cross toolchain for Windows. It is made when a build for Windows first asks for it."""

_BUILD = """\
load("@rules_cc//cc:defs.bzl", "cc_toolchain", "cc_toolchain_suite")
load("{toolchain_bzl}", "windows_toolchain_config")

package(default_visibility = ["//visibility:public"])

exports_files(["wine"])

filegroup(name = "none")

# Bazel does not look at compilers outside of the workspace when it asks a cache for what it would build. This file says
# which one it is.
filegroup(
    name = "tools",
    srcs = ["identity"],
)

windows_toolchain_config(
    name = "x86_64_config",
    compiler = "{compiler}",
    include_directories = {include_directories},
)

cc_toolchain(
    name = "x86_64",
    all_files = ":tools",
    ar_files = ":tools",
    as_files = ":tools",
    compiler_files = ":tools",
    dwp_files = ":none",
    linker_files = ":tools",
    objcopy_files = ":none",
    strip_files = ":tools",
    supports_param_files = True,
    toolchain_config = ":x86_64_config",
)

# Bazel before 7 asks here for some things, whatever the platform is.
cc_toolchain_suite(
    name = "suite",
    toolchains = {{"x64_windows": ":x86_64"}},
)
"""

def _windows_cross_impl(repository_ctx):
    # Bazel makes the repository again when one of these changes.
    repository_ctx.path(repository_ctx.attr._make_prefix)
    repository_ctx.path(repository_ctx.attr._packages)
    result = repository_ctx.execute([repository_ctx.path(repository_ctx.attr._install)], timeout = 1800)
    if result.return_code != 0:
        fail("the cross compiler for Windows and Wine could not be installed:\n" + result.stderr)
    installed = {"include": []}
    for line in result.stdout.splitlines():
        key, _, value = line.partition("=")
        if key == "include":
            installed[key].append(value)
        else:
            installed[key] = value

    # Bazel before 6 writes its main workspace without a name.
    toolchain_bzl = str(repository_ctx.attr._toolchain_bzl)
    if toolchain_bzl.startswith("//"):
        toolchain_bzl = "@ioring" + toolchain_bzl
    repository_ctx.file("BUILD.bazel", _BUILD.format(
        compiler = installed["compiler"],
        include_directories = repr(installed["include"]),
        toolchain_bzl = toolchain_bzl,
    ), executable = False)
    repository_ctx.file("WORKSPACE", "", executable = False)
    repository_ctx.file("identity", installed["identity"] + "\n", executable = False)
    repository_ctx.template(
        "wine",
        repository_ctx.attr._wine,
        {"%{prefix}": installed["prefix"], "%{programs}": installed["programs"]},
        executable = True,
    )

windows_cross = repository_rule(
    implementation = _windows_cross_impl,
    doc = "Installs MinGW-w64 and Wine, and declares a cc_toolchain and the script that runs programs for Windows.",
    attrs = {
        "_install": attr.label(default = Label("//bazel/windows_cross:install")),
        "_make_prefix": attr.label(default = Label("//bazel/windows_cross:make_prefix")),
        "_packages": attr.label(default = Label("//bazel:packages.sh")),
        "_toolchain_bzl": attr.label(default = Label("//bazel/windows_cross:toolchain.bzl")),
        "_wine": attr.label(default = Label("//bazel/windows_cross:wine.sh")),
    },
    environ = ["HOME"],
)
