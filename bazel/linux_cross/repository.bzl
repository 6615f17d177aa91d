"""The repository that holds the cross toolchain for Linux on arm64. It is made when a build for that first asks for it."""

_BUILD = """\
load("@rules_cc//cc:defs.bzl", "cc_toolchain", "cc_toolchain_suite")
load("{toolchain_bzl}", "linux_toolchain_config")

package(default_visibility = ["//visibility:public"])

exports_files([
    "again",
    "run",
])

filegroup(name = "none")

# Bazel does not look at compilers outside of the workspace when it asks a cache for what it would build. This file says
# which one it is.
filegroup(
    name = "tools",
    srcs = ["identity"],
)

linux_toolchain_config(
    name = "arm64_config",
    compiler = "{compiler}",
    include_directories = {include_directories},
)

cc_toolchain(
    name = "arm64",
    all_files = ":tools",
    ar_files = ":tools",
    as_files = ":tools",
    compiler_files = ":tools",
    dwp_files = ":none",
    linker_files = ":tools",
    objcopy_files = ":none",
    strip_files = ":tools",
    supports_param_files = True,
    toolchain_config = ":arm64_config",
)

# Bazel before 7 asks here for some things, whatever the platform is.
cc_toolchain_suite(
    name = "suite",
    toolchains = {{"aarch64": ":arm64"}},
)
"""

def _linux_cross_impl(repository_ctx):
    # Bazel makes the repository again when this changes.
    repository_ctx.path(repository_ctx.attr._packages)
    result = repository_ctx.execute([repository_ctx.path(repository_ctx.attr._install)], timeout = 1800)
    if result.return_code != 0:
        fail("the cross compiler for arm64 and qemu could not be installed:\n" + result.stderr)
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
        "run",
        repository_ctx.attr._run,
        {"%{emulator}": installed["emulator"]},
        executable = True,
    )
    repository_ctx.symlink("run", "again")

linux_cross = repository_rule(
    implementation = _linux_cross_impl,
    doc = "Installs GCC for arm64 and qemu, and declares a cc_toolchain and the script that runs programs for arm64.",
    attrs = {
        "_install": attr.label(default = Label("//bazel/linux_cross:install")),
        "_packages": attr.label(default = Label("//bazel:packages.sh")),
        "_run": attr.label(default = Label("//bazel/linux_cross:run.sh")),
        "_toolchain_bzl": attr.label(default = Label("//bazel/linux_cross:toolchain.bzl")),
    },
)
